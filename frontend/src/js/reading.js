/*
 * The reading page: images beside the criteria, one item after the other without a page load.
 * Whatever the reader does goes through the outbox; the page never waits for the server to go on.
 */
import { watchDisplay } from "./display/notices.js";
import { bindKeys, fillHelp } from "./keys.js";
import { Activity } from "./reading/activity.js";
import { Answers } from "./reading/answers.js";
import { Ask } from "./reading/ask.js";
import { CriteriaPanel } from "./reading/criteria.js";
import { checkDisplay } from "./reading/display_check.js";
import { watchFaults } from "./reading/faults.js";
import { Items, NotReachable } from "./reading/items.js";
import { scoringKeys } from "./reading/key_table.js";
import { OneWindow } from "./reading/one_window.js";
import { Outbox } from "./reading/outbox.js";
import { PageTexts } from "./reading/page_texts.js";
import { Pause } from "./reading/pause.js";
import { Remarks } from "./reading/remarks.js";
import { SaveState } from "./reading/save_state.js";
import { SignIn } from "./reading/sign_in.js";
import { visitRecord } from "./reading/visit.js";
import { describer } from "./reading/wording.js";
import { ReadingView } from "./viewer/view.js";

const root = document.querySelector("#reading");
const { itemUrl, signinUrl, faultUrl } = root.dataset;
const find = (name) => document.querySelector(`[data-${name}]`);
const dialog = (id) => document.querySelector(`#${id}`);

let outbox = null;
let item = null;
let answers = null;
let visit = 0; // counts openings, so that a late answer about an item left behind is ignored
let isLeaving = false;
let isBound = false; // the keys
let isDemanding = false; // the message says how many answers are missing
let lastReason = "";

const texts = new PageTexts(find);
const say = (...all) => texts.say(...all);
watchFaults(faultUrl, () => item?.token ?? null, (text) => say(text, "Reload", leaveFor));

const view = new ReadingView(find("images"));
const activity = new Activity();
const ask = new Ask(dialog("ask"));
const signIn = new SignIn(dialog("sign-in"), signinUrl, activity);
const pause = new Pause(dialog("pause"), activity, endPause);
const isBack = () => new Promise((resolve) => signIn.addEventListener("back", resolve, { once: true }));
const items = new Items({ signIn: signInAgain, back: isBack, say });
const panel = new CriteriaPanel(find("criteria"), find("question"), { give, cannot });
const remarks = new Remarks(find("remarks"), view, { reason: whyChanged, say, back: backToScores });
const help = dialog("key-help");

// --- Beginning --------------------------------------------------------------------------------------

async function begin() {
  const first = await items.open({ page: window.location.pathname, data: itemUrl }, () => true);
  const session = first.session_page;
  const window_ = new OneWindow(session);
  window_.addEventListener("lost", () => elsewhere(window_, session, "Reading went on in another window, so this one stopped. Everything is saved; one window at a time is read in."));
  if (!(await window_.enter())) {
    elsewhere(window_, session, "So that no answer is given twice, only one window is read in at a time. Read here instead, and the other one stops; reading goes on at your next item.");
    return;
  }
  item = first;
  outbox = await Outbox.open(first.session_page, signinUrl);
  items.outbox = outbox;
  wire();
  watch.tested(first.display_check?.last);
  outbox.deliver();
  if (outbox.held()) {
    await open(addressOf(outbox.held().page));
    return;
  }
  if (outbox.waiting().some(({ kind }) => kind === "submit")) {
    say("Answers kept in this browser are being sent…");
    if (await outbox.settled()) {
      leaveFor(first.session_page);
      return;
    }
  }
  const shown = show(first);
  if (first.display_check?.wanted) {
    // The images load meanwhile; the clock of the item does not run.
    activity.hold("pause");
    watch.tested(await checkDisplay(dialog("display-check"), first, outbox));
    activity.free("pause");
    panel.focus(panel.current);
  }
  await shown;
}

function wire() {
  new SaveState(document.querySelector("[data-save-state]"), outbox, { signIn: signInAgain });
  outbox.addEventListener("change", () => {
    if (outbox.trouble === "signed-out") signIn.offer(...reader());
  });
  outbox.addEventListener("receipt", ({ detail }) => received(detail));
  outbox.addEventListener("held", ({ detail: { delivery } }) => open(addressOf(delivery.page)));
  outbox.addEventListener("refused", () => showRefused());
}

/** Once the first item is known: the keys, and the help, are those of its mode and its presets. */
function bindPage() {
  if (isBound) return;
  isBound = true;
  const table = [
    ...scoringKeys(item, {
      panel,
      submit,
      previous: goBack,
      comment: () => remarks.toggle(true),
      help: () => help.showModal(),
      hint: (text) => view.say(text),
    }),
    ...view.keys(),
  ];
  bindKeys(table);
  fillHelp(help, table, view.mouse(), view.hangings());
}

function elsewhere(window_, page, text) {
  const box = dialog("elsewhere");
  find("elsewhere-text").textContent = text;
  activity.hold("hidden");
  find("elsewhere-here").onclick = async () => {
    await window_.takeOver();
    leaveFor(page);
  };
  box.oncancel = (event) => event.preventDefault();
  box.showModal();
}

const addressOf = (page) => ({ page, data: `${page}data/` });

// --- Opening an item ----------------------------------------------------------------------------------

async function open(address) {
  visit += 1;
  const mine = visit;
  root.dataset.ready = "0";
  find("submit").disabled = true;
  say("");
  try {
    const next = await items.open(address, () => mine === visit);
    if (mine !== visit) return;
    // Going back is a new entry in the browser's history only where the protocol allows it.
    const change = next.may_go_back ? "pushState" : "replaceState";
    if (address.page !== window.location.pathname) window.history[change](null, "", address.page);
    send("open", next.open_url, {}, next);
    await show(next);
  } catch (error) {
    if (!(error instanceof NotReachable)) throw error;
    leaveFor(error.page ?? item.session_page);
  }
}

async function show(next) {
  visit += 1;
  const mine = visit;
  item = next;
  root.dataset.mode = item.mode;
  isDemanding = false;
  quiet();
  showAnswers();
  texts.item(item, answers);
  activity.start(item.token);
  if (item.isFresh) pause.clock(item.server_time);
  if (item.isFresh) pause.show(item.pause);
  const opening = view.open(viewOf(item));
  bindPage();
  remarks.update(); // its arrows
  const shown = await opening;
  if (!shown || mine !== visit) return;
  root.dataset.ready = "1";
  document.documentElement.dataset.ready = "1";
  showSeen();
  const held = outbox.held();
  if (held?.item === item.token) showHeld(held);
  // Data that came ahead of time know of fewer next items than the server lets be fetched now: the
  // receipt of the opening brings the rest.
  fetchAhead(item.isFresh ? item.ahead ?? [] : items.prepared());
}

async function fetchAhead(list) {
  const mine = visit;
  const ahead = await items.prepare(list);
  if (mine === visit) view.prefetch(ahead.map(viewOf));
}

function viewOf({ token, mode, geometry, window: start, presets, panes, flags_meaning }) {
  const named = panes.map(({ number, label, slices, flags }) => ({ id: String(number), label, slices, flags }));
  return { key: token, mode, geometry, window: start, presets, panes: named, flags_meaning };
}

function showAnswers() {
  answers?.close();
  answers = new Answers(item, outbox, describer(item));
  answers.addEventListener("change", update);
  panel.show(item, answers);
  remarks.show(item, answers);
  panel.focus(panel.current);
}

function update() {
  panel.update();
  remarks.update();
  if (item.practice) texts.feedback(panel.feedback());
  if (!isDemanding) return;
  const missing = panel.missing();
  isDemanding = missing.length > 0;
  if (isDemanding) sayMissing(missing);
  else quiet();
}

/** The item may be submitted when all of it is loaded and every pane was really shown. */
function showSeen() {
  const { complete, seen } = view.status();
  root.dataset.loaded = String(complete && seen);
  find("submit").disabled = root.dataset.ready !== "1";
  find("submit").setAttribute("aria-disabled", String(!(complete && seen)));
}

// --- Answering ------------------------------------------------------------------------------------------

async function give(code, answer) {
  if (answers.holds(code, answer)) return true;
  const entry = answers.get(code);
  let reason = "";
  if (answers.needsReason(entry.revision + entry.pending > 0)) {
    const inWords = describer(item);
    const [old, now] = [entry, answer].map((one) => inWords(one, entry.criterion));
    reason = await whyChanged(`${entry.criterion.name}: ${old} becomes ${now}.`);
    if (reason === null) return false;
  }
  answers.answer(code, answer, reason);
  return true;
}

/** Why something stored is changed, in the reader's words; null if it stays as it was. */
async function whyChanged(text) {
  const told = { comment: "The comment is changed.", arrows: "The arrows are changed." };
  const reason = await ask.text({
    title: "Why is this changed?",
    text: `${told[text] ?? text} The earlier answer is kept beside the new one, with your reason.`,
    label: "Reason",
    value: lastReason,
  });
  lastReason = reason ?? lastReason;
  return reason;
}

async function cannot(code) {
  const entry = answers.get(code);
  const why = await ask.text({
    title: `${entry.criterion.name} cannot be assessed`,
    text: "Say why. A score given later takes its place.",
    label: "Why it cannot be assessed",
    suggestions: ["Motion", "Structure not covered", "Artifact over the structure"],
    value: entry.cannot_assess,
  });
  if (why === null) return;
  const index = panel.groups.findIndex(({ criterion }) => criterion.code === code);
  if (await give(code, { cannot_assess: why })) panel.focus(index + 1);
}

/** From the comment: to the criterion in turn, or to the button that submits. */
function backToScores() {
  if (panel.missing().length) panel.focus(panel.current);
  else find("submit").focus();
}

// --- Moving on --------------------------------------------------------------------------------------------

async function submit() {
  if (!item || root.dataset.ready !== "1") return;
  if (!(await remarks.flush())) return;
  const { complete, seen, text } = view.status();
  if (!complete || !seen) {
    say(text || "The images are still loading. An item can be submitted when all of it can be seen.");
    return;
  }
  const missing = panel.missing();
  isDemanding = missing.length > 0;
  if (isDemanding) {
    sayMissing(missing);
    panel.demand(missing);
    return;
  }
  // A submitted item needs no second submission: its changed answers are stored already.
  const isNew = !answers.submitted || outbox.held()?.item === item.token;
  answers.submitted = true; // before it is remembered as it is left
  leave();
  if (isNew) {
    send("submit", item.submit_url, { shown: view.status().shown.map(Number) });
    texts.submitted(item);
  }
  if (item.next) await open({ page: item.next, data: item.next_data });
  else await finish();
}

function sayMissing({ length }) {
  say(length === 1 ? "One answer is missing." : `${length} answers are missing.`);
}

/** The item is left: what was seen of it, and for how long, goes with it. */
function leave() {
  send("visit", item.visit_url, visitRecord(activity, view));
  activity.finish();
  items.remember(item, answers);
}

async function goBack() {
  if (!item?.previous || !(await remarks.flush())) return;
  leave();
  await open({ page: item.previous, data: item.previous_data });
}

/** After the last item: to the page that says so, once the server has everything. */
async function finish() {
  visit += 1;
  root.dataset.ready = "0";
  find("submit").disabled = true;
  say("That was the last item. It is being stored…");
  while (!(await outbox.settled())) {
    if (outbox.held()) return;
    say("That was the last item. It is kept in this browser until you have signed in again.", "Sign in", signInAgain);
    await items.pause();
  }
  if (outbox.refused().length === 0) leaveFor(item.session_page);
}

function send(kind, url, body, of = item) {
  outbox.add({ kind, url, body, item: of.token, page: of.page });
}

async function received({ delivery, answer }) {
  if (signIn.isPutOff) signIn.isBack();
  if (delivery.kind === "submit" && answer.pause) pause.show(answer.pause);
  if (delivery.kind === "open" && delivery.item === item?.token && !item.isFresh) {
    const mine = visit;
    const list = await items.following(item);
    if (mine === visit) fetchAhead(list);
  }
}

function endPause() {
  send("pause", item.pause_url, {});
}

/** Whose password is asked for: the reader's of this item. */
const reader = () => [item?.token ?? itemUrl.split("/").at(-3), item?.reader];

function signInAgain() {
  return signIn.ask(...reader());
}

/** Away from this page on purpose, with nothing to be asked about. */
function leaveFor(url) {
  isLeaving = true;
  if (typeof url === "string" && url !== window.location.href) window.location.assign(url);
  else window.location.reload();
}

// --- What the server would not take ---------------------------------------------------------------------------

function showHeld({ held }) {
  say(`This item was not accepted: ${held.message}`);
  if (held.body?.missing?.length) panel.demand(held.body.missing);
}

/** Nothing to say, but for what was not accepted: that stands until the reader has seen it. */
function quiet() {
  say("");
  showRefused();
}

function showRefused() {
  const refused = outbox.refused();
  if (!refused.length) return;
  const reasons = [...new Set(refused.map((one) => one.refused.message))].join(" ");
  const many = refused.length === 1 ? "One entry was" : `${refused.length} entries were`;
  say(`${many} not accepted: ${reasons}`, "Understood", async () => {
    await outbox.dismiss();
    leaveFor(item.session_page);
  });
}

// --- Wiring -----------------------------------------------------------------------------------------------------

view.addEventListener("status", () => {
  showSeen();
  if (view.status().complete && find("message").textContent.startsWith("The images")) quiet();
});
view.addEventListener("drawn", () => {
  root.dataset.view = JSON.stringify(view.state);
});
panel.addEventListener("finished", () => find("submit").focus());
signIn.addEventListener("back", () => {
  outbox?.retry();
  if (view.status().failed) view.retry();
});
const watch = watchDisplay(find("display-notice"));
find("open-help").addEventListener("click", () => help.showModal());
find("submit").addEventListener("click", submit);
find("previous").addEventListener("click", goBack);
window.addEventListener("beforeunload", (event) => {
  if (outbox?.count() && !isLeaving) event.preventDefault();
});
window.addEventListener("signing-out", () => {
  isLeaving = true;
});
window.addEventListener("popstate", () => {
  if (item && window.location.pathname !== item.page) open(addressOf(window.location.pathname));
});

begin();
