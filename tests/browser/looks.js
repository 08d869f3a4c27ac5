// What cannot be read: text on top of other text, and text too faint for its background (WCAG 2, 4.5:1).
({
  overlaps() {
    const words = "h1, h2, p, li, button, input, select, summary, dt, dd, pre";
    const leaves = [...document.querySelectorAll("main :is(" + words + ")")]
      .filter((e) => e.checkVisibility() && !e.querySelector(words))
      .map((e) => [e, e.getBoundingClientRect()])
      .filter(([, box]) => box.width > 1 && box.height > 1);
    const found = [];
    for (const [index, [a, first]] of leaves.entries()) {
      for (const [b, second] of leaves.slice(index + 1)) {
        const width = Math.min(first.right, second.right) - Math.max(first.left, second.left);
        const height = Math.min(first.bottom, second.bottom) - Math.max(first.top, second.top);
        if (width > 1 && height > 1 && !a.contains(b)) {
          found.push(a.textContent.trim().slice(0, 40) + " / " + b.textContent.trim().slice(0, 40));
        }
      }
    }
    return found;
  },

  faint() {
    const parts = (text) => text.match(/[\d.]+/g).map(Number);
    const linear = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const behind = (e) => {
      for (; e; e = e.parentElement) {
        const colour = parts(getComputedStyle(e).backgroundColor);
        if (colour.length < 4 || colour[3] === 1) return colour;
      }
      return [255, 255, 255];
    };
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const text = texts.currentNode.data.trim();
      const e = texts.currentNode.parentElement;
      if (!text || !e.checkVisibility() || e.closest("option, .aloud, :disabled")) continue;
      const pair = [light(parts(getComputedStyle(e).color)), light(behind(e))].sort((a, b) => b - a);
      const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
      if (contrast < 4.5) found.push(contrast.toFixed(2) + " " + text.slice(0, 40));
    }
    return found;
  },
})
