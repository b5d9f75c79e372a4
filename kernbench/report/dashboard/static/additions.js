// Cards of the list of studies say the question of their study and lead to the report; a refused change says why.
// Whatever comes from the database is shown as text, never as HTML.
"use strict";
(() => {
  const root = document.getElementById("dashboard");
  const asked = new Set(); // numbers of studies, each asked for once
  let about = { questions: {}, report: false };
  let waiting = false;

  async function ask() {
    const answer = await fetch("/kernbench/about.json");
    if (answer.ok) about = await answer.json();
    fill();
  }

  function said(parent, name, tag, text) {
    let element = parent.querySelector(`:scope > .${name}`);
    if (!element) {
      element = document.createElement(tag);
      element.className = name;
      parent.append(element);
    }
    if (element.textContent !== text) element.textContent = text;
    return element;
  }

  function fill() {
    waiting = false;
    let missing = false;
    for (const link of root.querySelectorAll("a[href*='/dashboard/studies/']")) {
      const number = /\/dashboard\/studies\/(\d+)$/.exec(link.getAttribute("href"))?.[1];
      const content = link.querySelector(".MuiCardContent-root");
      if (!number || !content) continue;
      if (!(number in about.questions) && !asked.has(number)) {
        asked.add(number);
        missing = true;
      }
      if (about.questions[number]) said(content, "kernbench-question", "div", about.questions[number]);
      const actions = link.parentElement.querySelector(".MuiCardActions-root");
      if (about.report && actions) said(actions, "kernbench-report", "a", "Report").href = "/report/";
    }
    if (missing) ask();
  }

  // optuna-dashboard says that a change failed, but not why.
  const usual = window.fetch;
  window.fetch = async (...given) => {
    const answer = await usual(...given);
    if (answer.status === 403) alertOf((await answer.clone().json()).reason);
    return answer;
  };

  function alertOf(text) {
    const box = said(document.body, "kernbench-refused", "div", text);
    box.setAttribute("role", "alert");
    setTimeout(() => box.remove(), 10_000);
  }

  new MutationObserver(() => {
    if (!waiting) requestAnimationFrame(fill);
    waiting = true;
  }).observe(root, { childList: true, subtree: true });
})();
