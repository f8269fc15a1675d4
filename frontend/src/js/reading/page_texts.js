/* What the frame of the reading page says: where the reader is, how far, and messages. */

export class PageTexts {
  constructor(find) {
    this.find = find;
    this.progress = { practice: null, submitted: 0 };
  }

  item(item, answers) {
    const { find } = this;
    const name = item.practice ? "Practice" : "Item";
    document.title = `${name} ${item.position} of ${item.total} · ReaderStudy`;
    find("position").textContent = `${name} ${item.position} of ${item.total}`;
    // Data fetched ahead knows less than was submitted since; practice and reading count apart.
    const isSame = this.progress.practice === item.practice;
    const submitted = item.isFresh || !isSame ? item.submitted_count : this.progress.submitted;
    this.isBegun = this.progress.practice === true && !item.practice;
    this.progress = { practice: item.practice, submitted: Math.max(submitted, item.submitted_count) };
    this.showProgress(item.total);
    find("practice").hidden = !(item.practice || this.isBegun);
    this.feedback("");
    find("notice").textContent = item.notice;
    find("home").href = item.home;
    find("previous").hidden = !item.may_go_back;
    find("previous").disabled = !item.previous;
    find("submit").textContent = answers.submitted ? "Go on" : "Submit and go on";
  }

  /** On practice items: the wording of the last choice. The first item after them says so. */
  feedback(text) {
    const said = this.isBegun
      ? "Practice is over: from this item on every answer counts."
      : "Practice: the wording of each choice is shown here. Nothing counts yet.";
    const shown = text ? `You chose ${text}` : said;
    if (this.find("practice").textContent !== shown) this.find("practice").textContent = shown;
  }

  submitted(item) {
    this.progress.submitted += 1;
    this.showProgress(item.total);
  }

  showProgress(total) {
    const bar = this.find("progress");
    bar.max = total;
    bar.value = this.progress.submitted;
    this.find("submitted").textContent = `${this.progress.submitted} submitted`;
  }

  /** A sentence for the reader, and what can be done about it. */
  say(text, label = "", act = null) {
    if (this.find("message").textContent !== text) this.find("message").textContent = text;
    this.find("message-box").hidden = !text;
    const again = this.find("again");
    again.hidden = !act;
    again.textContent = label;
    again.onclick = act;
  }
}
