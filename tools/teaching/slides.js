// Keys: arrows, space and Page Up/Down go from slide to slide, Home and End to the ends. A slide that is too tall is set smaller.
(() => {
  const slides = [...document.querySelectorAll(".slide")];
  const place = document.querySelector(".place");
  const here = () => {
    const middle = innerHeight / 2;
    const at = slides.findIndex((slide) => slide.getBoundingClientRect().bottom > middle);
    return at < 0 ? slides.length - 1 : at;
  };
  const show = (at) => slides[Math.max(0, Math.min(slides.length - 1, at))].scrollIntoView();
  const steps = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, button, select, label")) return;
    if (event.key === "Home") show(0);
    else if (event.key === "End") show(slides.length - 1);
    else if (event.key in steps) show(here() + (event.shiftKey ? -1 : 1) * steps[event.key]);
    else return;
    event.preventDefault();
  });
  const tell = () => (place.textContent = `${here() + 1} / ${slides.length}`);
  addEventListener("scroll", tell, { passive: true });
  const fit = () => {
    for (const slide of slides) {
      slide.style.fontSize = "";
      if (innerWidth <= 720) continue;
      const full = parseFloat(getComputedStyle(slide).fontSize);
      for (let share = 0.95; share >= 0.5 && slide.scrollHeight > innerHeight + 1; share -= 0.05)
        slide.style.fontSize = `${full * share}px`;
    }
    tell();
  };
  addEventListener("resize", fit);
  MathJax.startup.promise.then(fit);
  window.deckReady = MathJax.startup.promise;
})();
