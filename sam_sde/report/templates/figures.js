"use strict";
// Draws the figures; what is shown of each is read off its buttons, so that drawing again changes nothing else.
(() => {
  const { figures, dark } = JSON.parse(document.getElementById("figures").textContent);
  const darkScheme = matchMedia("(prefers-color-scheme: dark)");
  const paper = matchMedia("print");
  const coarse = matchMedia("(pointer: coarse)");
  const PRINTED = { width: 640, height: 440 };

  function recoloured(value, key) {
    if (typeof value === "string") {
      const color = /name|text|legendgroup/.test(key) ? undefined : dark[value.slice(0, 7)];
      return color === undefined ? value : color + value.slice(7);
    }
    if (Array.isArray(value)) return value.map((each) => recoloured(each, key));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, recoloured(each, name)]));
  }

  function draw(figure, printing) {
    const drawing = figures[figure.dataset.figure];
    const { data, layout } = structuredClone(darkScheme.matches && !printing ? recoloured(drawing, "") : drawing);
    for (const button of figure.querySelectorAll("button[data-arm]")) {
      const shown = button.getAttribute("aria-pressed") === "true";
      for (const trace of data) if (trace.legendgroup === button.dataset.arm) trace.visible = shown;
    }
    const log = figure.querySelector("button[data-log]")?.getAttribute("aria-pressed") === "true";
    if (log) layout.xaxis.type = "log";
    // A finger that moves over a figure scrolls the page; there the buttons zoom.
    layout.dragmode = coarse.matches ? false : "zoom";
    layout.uirevision = String(log);
    if (printing) Object.assign(layout, PRINTED);
    const plot = figure.querySelector(".plot");
    Plotly.react(plot, data, layout, {
      responsive: true,
      displaylogo: false,
      displayModeBar: coarse.matches ? true : "hover",
      modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
      toImageButtonOptions: { format: "svg", filename: figure.dataset.figure },
    });
    // The picture's single words say nothing to who cannot see it: the figure has a label and a table.
    for (const picture of plot.querySelectorAll("svg.main-svg")) picture.setAttribute("aria-hidden", "true");
  }

  const all = [...document.querySelectorAll("figure[data-figure]")];
  const drawAll = (printing) => all.forEach((figure) => draw(figure, printing));

  for (const figure of all) {
    figure.querySelector(".key")?.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      draw(figure, false);
    });
  }
  darkScheme.addEventListener("change", () => drawAll(paper.matches));
  paper.addEventListener("change", () => drawAll(paper.matches));
  addEventListener("beforeprint", () => drawAll(true));
  addEventListener("afterprint", () => drawAll(false));
  drawAll(paper.matches);
})();
