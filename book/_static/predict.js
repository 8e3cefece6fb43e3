// "Predict first": a place to write each prediction, kept in this browser only, and shown again where the chapter answers.
// The box is the admonition of that title; an answer is marked by <span class="bn-answer" data-question="2"></span>.
(() => {
  const KEY = `bnlab predictions ${location.pathname.split("/").pop()}`;
  const make = (tag, attributes = {}, text = "") => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(text);
    return element;
  };
  // A browser may refuse storage (private windows, some settings for file://): then the page forgets, and says so.
  const load = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY));
      return Array.isArray(kept) ? kept.map(String) : [];
    } catch { return []; }
  };
  const save = answers => {
    try {
      if (answers.some(Boolean)) localStorage.setItem(KEY, JSON.stringify(answers));
      else localStorage.removeItem(KEY);
      return true;
    } catch { return false; }
  };

  const echoes = questions => {
    const found = [];
    for (const mark of document.querySelectorAll("span.bn-answer")) {
      const number = Number(mark.dataset.question), block = mark.closest("p, li, dd") ?? mark;
      if (!(number >= 1 && number <= questions)) continue;
      let note = block.nextElementSibling;
      if (!note?.matches(".bn-echo")) {
        note = make("div", { className: "bn-echo", hidden: true });
        block.after(note);
      }
      if (found.some(({ line, of }) => of === number && line.parentNode === note)) continue;
      found.push({ of: number, line: note.appendChild(make("p")) });
    }
    return found;
  };

  const start = () => {
    const title = [...document.querySelectorAll(".admonition-title")].find(one => one.textContent.trim() === "Predict first");
    const box = title?.closest(".admonition"), questions = [...(box?.querySelectorAll("ol > li") ?? [])];
    if (!questions.length) return;
    const answers = load(), notes = echoes(questions.length);
    const tell = () => {
      for (const { of, line } of notes) {
        const answer = (answers[of - 1] ?? "").trim();
        line.replaceChildren(make("b", {}, `Your prediction ${of}:`), ` ${answer}`);
        line.hidden = !answer;
      }
      for (const note of document.querySelectorAll(".bn-echo")) note.hidden = ![...note.children].some(line => !line.hidden);
    };
    const status = make("span");
    status.setAttribute("role", "status");
    const forgetful = "This browser keeps nothing for this page: your predictions last until you leave it.";
    const fields = questions.map((question, i) => {
      const id = `bn-prediction-${i + 1}`;
      const asked = question.querySelector("p") ?? question;
      asked.id ||= `bn-question-${i + 1}`;
      const field = make("textarea", { id, rows: 2, placeholder: " ", value: answers[i] ?? "" });
      field.setAttribute("aria-describedby", asked.id);
      field.addEventListener("input", () => {
        answers[i] = field.value;
        status.textContent = save([...questions.keys()].map(n => answers[n] ?? "")) ? "" : forgetful;
        tell();
      });
      const label = make("label", { htmlFor: id, className: "bn-prediction" }, `Your prediction ${i + 1}`);
      question.append(label, field);
      return field;
    });
    const clear = make("button", { type: "button" }, "Clear my predictions");
    clear.addEventListener("click", () => {
      answers.length = 0;
      for (const field of fields) field.value = "";
      status.textContent = save([]) ? "Cleared." : forgetful;
      tell();
    });
    const foot = make("p", { className: "bn-predict" }, "What you write stays in this browser, and is shown again where the chapter answers. ");
    foot.append(clear, " ", status);
    box.append(foot);
    tell();
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
