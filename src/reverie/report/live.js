// Keeps the page current: asks its server for it again and again, and replaces what has changed.
"use strict";
(() => {
  const EVERY = 2000; // milliseconds between questions
  const status = document.querySelector(".live");
  let version = null; // the server's name for what is shown
  let changed = Date.now();

  // What belongs together before and after: the n-th part of the section with the same name.
  const parts = (section) => [...section.children].flatMap((part) => (part.matches(".panels") ? [...part.children] : [part]));
  const written = (part) => part.dataset.written ?? part.outerHTML;

  // A figure stays where it is, with the lines that are hidden in it; only its data and words change.
  function renew(figure, fresh) {
    const [drawing, other] = [figure, fresh].map((found) => found.querySelector(".figure"));
    const open = figure.querySelector("details").open;
    drawing.setAttribute("aria-label", other.getAttribute("aria-label"));
    other.replaceWith(drawing);
    figure.replaceChildren(...fresh.childNodes);
    figure.querySelector("details").open = open;
    drawing.dispatchEvent(new CustomEvent("renewed", { bubbles: true }));
  }

  function replace(section, fresh) {
    const [before, after] = [parts(section), parts(fresh)];
    const shape = (found) => found.map((part) => `${part.tagName} ${part.className} ${part.querySelector("h3")?.textContent}`);
    if (String(shape(before)) !== String(shape(after))) {
      section.replaceChildren(...fresh.childNodes);
      return;
    }
    before.forEach((part, k) => {
      const now = after[k].outerHTML;
      if (written(part) === now) return;
      if (part.matches(".curves")) {
        renew(part, after[k]);
        part.dataset.written = now;
      } else {
        part.replaceWith(after[k]);
      }
    });
  }

  function show(fresh) {
    const name = (section) => section.id;
    const [before, after] = [document, fresh].map((page) => [...page.querySelectorAll("main > section")]);
    document.title = fresh.title;
    document.querySelector("header .lead").replaceWith(fresh.querySelector("header .lead"));
    if (String(before.map(name)) === String(after.map(name))) {
      before.forEach((section, k) => replace(section, after[k]));
    } else {
      document.querySelector("nav").replaceWith(fresh.querySelector("nav"));
      const known = new Map(before.map((section) => [name(section), section]));
      const sections = after.map((section) => {
        const own = known.get(name(section));
        if (own) replace(own, section);
        return own ?? section;
      });
      document.querySelector("main").replaceChildren(...sections);
    }
    document.dispatchEvent(new CustomEvent("replaced"));
  }

  async function look() {
    try {
      const answer = await fetch(location.pathname, { cache: "no-store", headers: version ? { "If-None-Match": version } : {} });
      if (answer.status === 200) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (version) changed = Date.now();
        version = answer.headers.get("ETag");
        show(fresh);
      } else if (answer.status !== 304) {
        throw new Error(answer.statusText);
      }
      status.textContent = `Live: changed ${new Date(changed).toLocaleTimeString()}`;
      status.dataset.state = "live";
    } catch {
      status.textContent = `Not live: reverie watch does not answer. This is the page of ${new Date(changed).toLocaleTimeString()}.`;
      status.dataset.state = "lost";
    }
    setTimeout(look, EVERY);
  }
  setTimeout(look, EVERY);
})();
