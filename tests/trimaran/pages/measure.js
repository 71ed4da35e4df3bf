// What keeps a page from being read, as a list of sentences: text that is too small, too faint or
// cut off, that lies on other text or on a curve, and boxes that are wider than the window.
(() => {
  const SMALLEST_PX = 11, LEAST_CONTRAST = 4.5, ROUNDING_PX = 0.75;
  const found = new Map();
  const say = (kind, where, text) => {
    const key = `${kind} ${where}`;
    if (!found.has(key)) found.set(key, `${kind} in ${where}: ${text}`);
  };

  const parse = (colour) => {
    const srgb = colour.startsWith("color(srgb");
    const parts = colour.match(/[\d.]+(?:e-?\d+)?%?/g)?.map(parseFloat) ?? [0, 0, 0, 0];
    const scale = srgb ? 255 : 1;
    return [...parts.slice(0, 3).map((part) => part * scale), parts[3] ?? 1];
  };
  const over = (top, below) => {
    const alpha = top[3];
    return [0, 1, 2].map((at) => top[at] * alpha + below[at] * (1 - alpha)).concat(1);
  };
  const luminance = (colour) => {
    const linear = colour.slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const opacity = (element, end) => {
    let product = 1;
    for (let each = element; each && each !== end; each = each.parentElement)
      product *= parseFloat(getComputedStyle(each).opacity);
    return product;
  };
  const painted = (element, paint) => {
    const style = getComputedStyle(element);
    if (style[paint] === "none" || style.visibility === "hidden") return null;
    const colour = parse(style[paint]);
    colour[3] *= parseFloat(style[`${paint}Opacity`]) * opacity(element, element.ownerSVGElement);
    return colour[3] > 0 ? colour : null;
  };
  const behind = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement)
      layers.push(parse(getComputedStyle(each).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const selector = (element) => {
    const names = [];
    for (let each = element; each && names.length < 3 && each !== document.body; each = each.parentElement) {
      const kind = each.getAttribute("class");
      names.unshift(each.tagName.toLowerCase() + (kind ? `.${kind.trim().replace(/\s+/g, ".")}` : ""));
      if (each.tagName === "svg") names[0] += `[${each.getAttribute("aria-label")}]`;
      if (each.tagName === "SECTION") break;
    }
    return names.join(" > ");
  };
  const scroller = (element) => {
    for (let each = element.parentElement; each && each !== document.body; each = each.parentElement)
      if (["auto", "scroll"].includes(getComputedStyle(each).overflowX)) return each;
    return null;
  };
  const meet = (one, other, least) =>
    Math.min(one.right, other.right) - Math.max(one.left, other.left) > least &&
    Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > least;

  // Shapes of each drawing in the order in which they are painted, and the curves among them.
  const drawings = new Map();
  for (const svg of document.querySelectorAll("svg")) {
    const shapes = [...svg.querySelectorAll("path, rect, circle, ellipse, polygon, line, polyline")]
      .filter((shape) => !shape.closest("defs, clipPath"))
      .map((shape) => ({
        shape,
        box: shape.getBoundingClientRect(),
        fill: painted(shape, "fill"),
        stroke: painted(shape, "stroke"),
        inverse: shape.getScreenCTM().inverse(),
      }));
    const ink = getComputedStyle(svg).color;
    drawings.set(svg, { shapes, texts: [], ink });
  }
  const backdrop = (text, x, y) => {
    let below = behind(text.ownerSVGElement);
    for (const { shape, box, fill, inverse } of drawings.get(text.ownerSVGElement).shapes) {
      if (!(shape.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING)) continue;
      if (!fill || x < box.left || x > box.right || y < box.top || y > box.bottom) continue;
      if (shape.isPointInFill(new DOMPoint(x, y).matrixTransform(inverse))) below = over(fill, below);
    }
    return below;
  };

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim() || element.closest("style, script, defs")) continue;
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()].filter((box) => box.width && box.height);
    const style = getComputedStyle(element);
    if (!boxes.length || style.visibility === "hidden") continue;
    const where = selector(element), shown = JSON.stringify(node.data.trim().slice(0, 40));
    const svg = element.ownerSVGElement;
    let size = parseFloat(style.fontSize);
    const box = range.getBoundingClientRect();
    let colour, below;
    if (svg) {
      const matrix = element.getScreenCTM();
      size *= Math.sqrt(Math.abs(matrix.a * matrix.d - matrix.b * matrix.c));
      colour = painted(element, "fill");
      below = backdrop(element, (box.left + box.right) / 2, (box.top + box.bottom) / 2);
      const turned = Math.abs(matrix.b) > 1e-3;
      drawings.get(svg).texts.push({ box, shown, where, turned });
      const frame = svg.getBoundingClientRect();
      if (box.left < frame.left - ROUNDING_PX || box.right > frame.right + ROUNDING_PX ||
          box.top < frame.top - ROUNDING_PX || box.bottom > frame.bottom + ROUNDING_PX)
        say("text cut off by its drawing", where, shown);
    } else {
      colour = parse(style.color);
      colour[3] *= opacity(element, null);
      below = behind(element);
    }
    if (!scroller(element) && box.right > document.documentElement.clientWidth + ROUNDING_PX)
      say("text beyond the window", where, shown);
    if (size < SMALLEST_PX) say(`text of ${size.toFixed(1)} px`, where, shown);
    const ratio = colour ? contrast(over(colour, below), below) : 1;
    if (ratio < LEAST_CONTRAST) say(`contrast ${ratio.toFixed(2)}`, where, shown);
    for (let each = element; each && each !== document.body; each = each.parentElement) {
      if (!["hidden", "clip"].includes(getComputedStyle(each).overflowX) || each.ownerSVGElement || each === svg) continue;
      const frame = each.getBoundingClientRect();
      if (box.right > frame.right + ROUNDING_PX || box.bottom > frame.bottom + ROUNDING_PX)
        say("text cut off", where, shown);
    }
  }

  for (const { shapes, texts } of drawings.values()) {
    for (const [at, one] of texts.entries()) {
      if (one.turned) continue;
      for (const other of texts.slice(at + 1))
        if (!other.turned && meet(one.box, other.box, 2)) say("text on text", one.where, `${one.shown} and ${other.shown}`);
    }
    for (const { shape, box, fill, stroke } of shapes) {
      if (!stroke || fill || shape.tagName !== "path" || !texts.some((text) => meet(text.box, box, -1))) continue;
      const length = shape.getTotalLength(), matrix = shape.getScreenCTM();
      for (let at = 0; at <= 400; at += 1) {
        const point = shape.getPointAtLength((length * at) / 400).matrixTransform(matrix);
        const hit = texts.find(({ box: area }) =>
          point.x > area.left + 1 && point.x < area.right - 1 && point.y > area.top + 2 && point.y < area.bottom - 2);
        if (hit) { say("text on a curve", hit.where, hit.shown); break; }
      }
    }
  }

  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width)
    say("the page scrolls sideways", "html", `${document.documentElement.scrollWidth} px of ${width}`);
  for (const element of document.body.querySelectorAll("*")) {
    if (element.ownerSVGElement || scroller(element)) continue;
    const box = element.getBoundingClientRect();
    if (box.width && (box.right > width + ROUNDING_PX || box.left < -ROUNDING_PX))
      say("a box beyond the window", selector(element), `${Math.round(box.left)} to ${Math.round(box.right)} of ${width} px`);
  }
  for (const image of document.querySelectorAll("img:not(.photograph)"))
    say("a picture, whose text nothing measures", selector(image), image.alt);
  return [...found.values()];
})
