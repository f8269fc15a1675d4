/*
 * Passkeys: the browser asks the authenticator, and the answer goes back in the page's own form.
 * A form carries data-passkey: "add" makes a passkey, "use" answers for a known person, "sign-in"
 * asks who is there. The options stand in the page, or (signing in) are fetched on the click.
 */

const fromBase64 = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const toBase64 = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");

const descriptors = (list) => (list ?? []).map((one) => ({ ...one, id: fromBase64(one.id) }));

async function make(options) {
  const asked = options.publicKey;
  const made = await navigator.credentials.create({
    publicKey: {
      ...asked,
      challenge: fromBase64(asked.challenge),
      user: { ...asked.user, id: fromBase64(asked.user.id) },
      excludeCredentials: descriptors(asked.excludeCredentials),
      authenticatorSelection: {
        ...asked.authenticatorSelection,
        residentKey: "required",
        requireResidentKey: true,
        userVerification: "required",
      },
    },
  });
  return told(made, {
    attestationObject: toBase64(made.response.attestationObject),
    transports: made.response.getTransports?.() ?? [],
  });
}

async function use(options) {
  const asked = options.publicKey;
  const found = await navigator.credentials.get({
    publicKey: {
      ...asked,
      challenge: fromBase64(asked.challenge),
      allowCredentials: descriptors(asked.allowCredentials),
    },
  });
  const { authenticatorData, signature, userHandle } = found.response;
  return told(found, {
    authenticatorData: toBase64(authenticatorData),
    signature: toBase64(signature),
    userHandle: userHandle ? toBase64(userHandle) : null,
  });
}

function told(credential, response) {
  return {
    id: credential.id,
    rawId: toBase64(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    response: { clientDataJSON: toBase64(credential.response.clientDataJSON), ...response },
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}

function optionsOf(form) {
  const element = document.getElementById("passkey-options");
  if (element) {
    const found = JSON.parse(element.textContent);
    return found.creation_options ?? found.request_options;
  }
  return fetch(form.action, { headers: { Accept: "application/json" } }).then(async (answer) => {
    if (!answer.ok) throw new Error("Too many attempts. Wait a minute, then try again.");
    return (await answer.json()).request_options;
  });
}

function inWords(error) {
  if (error.name === "InvalidStateError") return "This passkey is already yours.";
  if (error.name === "NotAllowedError") return "Nothing was done: the browser got no passkey.";
  if (error.name === "SecurityError") return "Passkeys need the site's own name and HTTPS.";
  return error.message || "The browser could not use a passkey.";
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const fault = form.querySelector("[role=alert]");
  const say = (text) => {
    fault.hidden = !text;
    fault.textContent = text;
  };
  if (!window.PublicKeyCredential) {
    form.querySelector("button[type=submit]").disabled = true;
    say("This browser knows no passkeys.");
    continue;
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    say("");
    try {
      const options = await optionsOf(form);
      const act = form.dataset.passkey === "add" ? make : use;
      form.elements.credential.value = JSON.stringify(await act(options));
      form.submit();
    } catch (error) {
      say(inWords(error));
    }
  });
}
