/* Who is signed in in this browser now: the reader of the page, nobody, or another person. */
import { getJson, rememberCsrfToken } from "../http.js";

/** "reader" | "nobody" | "another" | "unknown" (the server cannot be reached). */
export async function signedInAs(signinUrl, item) {
  let answer;
  try {
    answer = await getJson(`${signinUrl}?item=${encodeURIComponent(item)}`);
  } catch {
    return "unknown";
  }
  rememberCsrfToken(answer.csrf_token);
  if (!answer.signed_in) return "nobody";
  return answer.same_person ? "reader" : "another";
}
