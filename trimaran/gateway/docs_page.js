"use strict";
(() => {
  const HEADERS = ["x-trimaran-model", "x-trimaran-version", "server-timing", "x-request-id",
    "retry-after"];
  const FREE = 1e30, LONG_TEXT = 1000, MOST_SHOWN = 400;
  const at = (id) => document.getElementById(id);
  let specification, model, form, fields = 0;

  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {}))
      if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : value);
    element.append(...children);
    return element;
  };
  const resolved = (node) => node && node.$ref
    ? resolved(node.$ref.slice(2).split("/").reduce((place, key) => place[key], specification))
    : node;

  // Each kind of control: its element, what it reads (undefined where it is left empty), and how it
  // is filled. `extra` stands below the element.
  const simple = (element, parse = (text) => text) => ({
    element,
    read: () => (element.value === "" ? undefined : parse(element.value)),
    write: (value) => { element.value = value === undefined ? "" : String(value); },
  });

  const number = (schema) => {
    const bound = (value) => (Math.abs(value) < FREE ? value : undefined);
    const element = make("input", {
      type: "number", step: schema.type === "integer" ? 1 : "any",
      min: bound(schema.minimum), max: bound(schema.maximum),
    });
    return simple(element, Number);
  };

  const choice = (values, parse) => {
    const element = make("select", {}, make("option", { value: "" }, "(left out)"),
      ...values.map((value) => make("option", { value }, String(value))));
    const control = simple(element, parse);
    return { ...control, write: (value) => {
      if (value !== undefined && ![...element.options].some((each) => each.value === String(value)))
        element.append(make("option", { value }, String(value)));
      control.write(value);
    } };
  };

  const date = () => {
    const element = make("input", { type: "date" });
    return { ...simple(element), write: (value) => {
      const timed = value !== undefined && value.includes(":");
      element.type = timed ? "datetime-local" : "date";
      if (timed) element.step = 1;
      element.value = value === undefined ? "" : timed ? value.replace(" ", "T").slice(0, 19) : value;
    } };
  };

  const image = () => {
    const element = make("input", { type: "file", accept: "image/jpeg,image/png,image/webp" });
    const extra = make("div", { class: "hint" });
    let content;
    const show = (words, source) => {
      extra.replaceChildren(words);
      if (source) extra.append(make("img", { class: "photograph", alt: "The image to send", src: source }));
    };
    element.addEventListener("change", () => {
      const [file] = element.files;
      if (!file) return;
      const reader = new FileReader();
      reader.addEventListener("load", () => {
        content = reader.result.slice(reader.result.indexOf(",") + 1);
        show(`${file.name}, ${file.size} bytes`, `data:${file.type || "image/jpeg"};base64,${content}`);
        changed();
      });
      reader.addEventListener("error", () => show("The file cannot be read."));
      reader.readAsDataURL(file);
    });
    return { element, extra, read: () => content, write: (value) => {
      content = value;
      element.value = "";
      if (value === undefined) show("No file is chosen.");
      else show("The image of the example", `data:image/jpeg;base64,${value}`);
    } };
  };

  const list = (schema, name) => {
    const texts = schema.items.type === "string" || schema.items.enum;
    const element = make("textarea", { spellcheck: "false" });
    const count = schema.maxItems && schema.maxItems === schema.minItems ? `${schema.maxItems} ` : "";
    const extra = make("p", { class: "hint" },
      texts ? `A list of ${count}texts, one a line.` : `A list of ${count}values, with commas between them.`);
    return { element, extra, read: () => {
      if (element.value.trim() === "") return undefined;
      if (texts) return element.value.split("\n");
      try {
        return JSON.parse(`[${element.value}]`);
      } catch {
        throw new Error(`${name} is no list of values with commas between them, such as 1, 2.5, 3`);
      }
    }, write: (value) => {
      element.value = value === undefined ? "" : value.join(texts ? "\n" : ", ");
    } };
  };

  const record = (schema, name) => {
    const group = groupOf(schema);
    const element = make("fieldset", {}, make("legend", {}, name), group.element);
    return { element, group: true, read: () => JSON.stringify(group.read()),
      write: (value) => group.write(value === undefined ? {} : JSON.parse(value)) };
  };

  const controlOf = (schema, name) => {
    const ways = schema.anyOf || [];
    const known = schema.enum || ways.map((each) => each.enum).find(Boolean);
    if (schema.contentSchema) return record(resolved(schema.contentSchema), name);
    if (schema.contentEncoding === "base64") return image();
    if (schema.type === "array") return list(schema, name);
    if (schema.type === "boolean") return choice([true, false], (text) => text === "true");
    if (schema.type === "number" || schema.type === "integer") return number(schema);
    if (known) return choice(known);
    if (ways.some((each) => each.format === "date")) return date();
    const long = schema.maxLength >= LONG_TEXT;
    return simple(make(long ? "textarea" : "input", { autocomplete: "off" }));
  };

  const fieldOf = (name, schema, required) => {
    const control = controlOf(schema, name);
    if (control.group) {
      control.element.className = "whole";
      return { ...control, name };
    }
    const id = `field-${(fields += 1)}`, hint = `${id}-hint`;
    const mark = required ? "" : make("span", { class: "optional" }, " optional");
    control.element.id = id;
    control.element.required = required;
    control.element.setAttribute("aria-describedby", hint);
    const words = [schema.description || ""];
    const { min, max } = control.element;
    if (control.element.type === "number" && (min || max))
      words.unshift(min && max ? `${min} to ${max}.` : min ? `${min} or more.` : `${max} or less.`);
    const wide = control.element.tagName === "TEXTAREA" || control.element.type === "file";
    const element = make("div", wide ? { class: "whole" } : {}, make("label", { for: id }, name, mark),
      control.element, control.extra || "", make("p", { class: "hint", id: hint }, words.join(" ").trim()));
    return { ...control, element, name };
  };

  const groupOf = (schema) => {
    const required = schema.required || [];
    const parts = Object.entries(schema.properties)
      .filter(([, property]) => property.type !== "object")
      .map(([name, property]) => fieldOf(name, resolved(property), required.includes(name)))
      .sort((one, other) => required.includes(other.name) - required.includes(one.name));
    return {
      element: make("div", { class: "fields" }, ...parts.map((part) => part.element)),
      read: () => Object.fromEntries(parts.map((part) => [part.name, part.read()])
        .filter(([, value]) => value !== undefined)),
      write: (values) => parts.forEach((part) => part.write(values[part.name])),
    };
  };

  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const curlOf = (values) => {
    const photograph = Object.entries(model.schema.properties)
      .find(([name, schema]) => schema.contentEncoding === "base64" && values[name]);
    const url = location.origin + model.path;
    const call = (body) => `curl ${quoted(url)} \\\n  -H "Authorization: Bearer $TOKEN" \\\n  --json ${body}`;
    if (!photograph) return call(quoted(JSON.stringify(values)));
    const file = '"$(base64 -w0 photo.jpg)"';
    const [before, after] = JSON.stringify({ ...values, [photograph[0]]: "\0" }).split("\\u0000");
    return `printf '%s' ${quoted(before)}${file}${quoted(after)} | ${call("@-")}`;
  };

  const changed = () => {
    for (const element of at("fields").querySelectorAll("input"))
      element.classList.toggle("outside", element.validity.rangeUnderflow || element.validity.rangeOverflow);
    try {
      at("curl").textContent = curlOf(form.read());
    } catch (error) {
      at("curl").textContent = error.message;
    }
  };

  const fill = () => {
    const chosen = model.examples[at("example").value];
    form.write(chosen ? chosen.value : {});
    changed();
  };

  const choose = () => {
    const path = at("model").value, operation = specification.paths[path].post;
    const content = operation.requestBody.content["application/json"];
    const tag = specification.tags.find((each) => each.name === operation.tags[0]);
    const answered = operation.responses["200"].content["application/json"];
    model = { path, name: operation.tags[0], schema: resolved(content.schema),
      answer: resolved(answered.schema), examples: content.examples || {} };
    at("about").textContent = [tag && tag.description, operation.description].filter(Boolean).join(" ");
    at("ask").textContent = `Ask ${model.name}`;
    at("example").replaceChildren(
      ...Object.keys(model.examples).map((name) => make("option", { value: name }, name)),
      make("option", { value: "" }, "(nothing filled in)"));
    form = groupOf(model.schema);
    at("fields").replaceChildren(...form.element.childNodes);
    at("answer").replaceChildren(make("p", { class: "about" }, "Nothing is asked yet."));
    fill();
  };

  const definitions = (pairs, kind) => make("dl", { class: kind },
    ...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  const shown = (value) => typeof value === "number" && !Number.isInteger(value)
    ? String(Number(value.toPrecision(6))) : typeof value === "string" ? value : JSON.stringify(value);

  const outputsOf = (answer) => {
    const outputs = Object.entries(answer).filter(([name]) => !/^(model_(name|version)|sequence_.*|id)$/.test(name));
    const lists = outputs.filter(([, value]) => Array.isArray(value));
    const blocks = [definitions(outputs.filter(([, value]) => !Array.isArray(value))
      .map(([name, value]) => [name, shown(value)]), "values")];
    const lengths = new Set(lists.map(([, value]) => value.length));
    for (const length of lengths) {
      const columns = lists.filter(([, value]) => value.length === length);
      const named = columns.map(([name]) => model.answer.properties[name]?.["x-classes"])
        .find((each) => each && each.length === length);
      if (named) columns.unshift(["class", named]);
      const rows = [...Array(Math.min(length, MOST_SHOWN)).keys()].map((row) => make("tr", {},
        ...columns.map(([, value]) => make("td", { class: typeof value[row] === "number" ? "number" : false },
          shown(value[row])))));
      blocks.push(make("div", { class: "wide" }, make("table", {},
        make("thead", {}, make("tr", {}, ...columns.map(([name]) => make("th", { scope: "col" }, name)))),
        make("tbody", {}, ...rows))));
    }
    return blocks;
  };

  const parsed = (text) => {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  };

  const verdict = (good, words) => make("p", { class: `verdict ${good ? "good" : "error"}` }, words);
  const refusal = (answer, text) => [
    make("p", { class: "message" }, (answer && answer.error) || text || "There is no message."),
    definitions(answer && answer.where ? [["where", answer.where]] : [], "headers"),
  ];

  const showAnswer = (response, text, took) => {
    const answer = parsed(text);
    const words = `${response.status} ${response.statusText}`.trim();
    const headers = HEADERS.map((name) => [name, response.headers.get(name)]).filter(([, value]) => value);
    const body = !response.ok ? refusal(answer, text)
      : answer ? outputsOf(answer) : [make("p", { class: "message" }, "The answer is no JSON.")];
    at("answer").replaceChildren(
      verdict(response.ok, `${words}, after ${Math.round(took)} ms`), ...body, definitions(headers, "headers"),
      make("details", {}, make("summary", {}, "Body"),
        make("pre", { tabindex: 0 }, answer ? JSON.stringify(answer, null, 2) : text)));
  };

  const call = (path, options) => fetch(path, {
    ...options, cache: "no-store", credentials: "omit", redirect: "error",
    headers: { Authorization: `Bearer ${at("token").value.trim()}`, ...options.headers },
  });

  const ask = async (event) => {
    event.preventDefault();
    const began = performance.now();
    at("ask").disabled = true;
    try {
      const body = JSON.stringify(form.read());
      const response = await call(model.path,
        { method: "POST", headers: { "Content-Type": "application/json" }, body });
      showAnswer(response, await response.text(), performance.now() - began);
    } catch (error) {
      at("answer").replaceChildren(verdict(false, "Nothing was answered."),
        make("p", { class: "message" }, error.message));
    } finally {
      at("ask").disabled = false;
    }
  };

  const say = (words) => { at("status").textContent = words; };
  const load = async (event) => {
    event.preventDefault();
    say("Asking for the models.");
    at("models").hidden = true;
    try {
      const response = await call("/openapi.json", {});
      const text = await response.text(), found = parsed(text);
      if (!response.ok || !found)
        return say(`The models are not shown: ${response.status}, ${(found && found.error) || "no JSON"}.`);
      specification = found;
    } catch (error) {
      return say(`The models are not shown: ${error.message}.`);
    }
    const paths = Object.keys(specification.paths).filter((path) => /^\/models\/[^/]+\/predict$/.test(path));
    at("model").replaceChildren(...paths.map((path) =>
      make("option", { value: path }, specification.paths[path].post.tags[0])));
    say(paths.length === 1 ? "There is 1 model." : `There are ${paths.length} models.`);
    if (!paths.length) return;
    choose();
    at("models").hidden = false;
    at("model").focus();
  };

  at("access").addEventListener("submit", load);
  at("request").addEventListener("submit", ask);
  at("request").addEventListener("input", changed);
  at("model").addEventListener("change", choose);
  at("example").addEventListener("change", fill);
  at("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(at("curl").textContent);
      at("copied").textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(at("curl"));
      at("copied").textContent = "Selected; copy it with the keyboard.";
    }
  });
})();
