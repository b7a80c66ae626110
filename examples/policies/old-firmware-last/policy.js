// Gives away devices with new firmware first, and those with old firmware last.
//
// The configuration is JSON: {"attribute": "firmware_version", "oldest": "22.31.1014"}. Of a host's free devices, those
// with the highest version are preferred; those below `oldest`, or that do not say, come last.

const NONE = 0xffffffff;

let settings = { attribute: "firmware_version", oldest: null };

export const api = {
  configure(configuration) {
    const text = new TextDecoder().decode(configuration).trim();
    if (text !== "") {
      let given;
      try {
        given = JSON.parse(text);
      } catch (error) {
        throw `the configuration is not JSON: ${error.message}`;
      }
      for (const name of Object.keys(given)) {
        if (!(name in settings)) {
          throw `there is no setting ${name}; there are ${Object.keys(settings).join(" and ")}`;
        }
      }
      settings = { ...settings, ...given };
    }
    return { prefer: true, attributes: true };
  },

  prefer(query, devices) {
    const oldest = settings.oldest === null ? null : version(settings.oldest);
    // A set of attributes is looked at once, however many devices have it.
    const known = new Map();
    const versions = Array.from(devices.attributes, (set) => {
      if (!known.has(set)) {
        const text = attribute(devices.sets, set, settings.attribute);
        const found = text === undefined ? null : version(text);
        known.set(set, found !== null && oldest !== null && compare(found, oldest) < 0 ? null : found);
      }
      return known.get(set);
    });
    // Equal versions get equal numbers: 0 for none, then 1, 2, … from the oldest on.
    const order = versions.filter((one) => one !== null).sort(compare);
    const ranks = order.filter((one, i) => i === 0 || compare(one, order[i - 1]) !== 0);
    return Float64Array.from(versions, (one) =>
      one === null ? 0 : 1 + ranks.findIndex((rank) => compare(rank, one) === 0),
    );
  },

  // The scope does not name these two, so that they are never called.
  filter() {
    throw "not asked";
  },
  score() {
    throw "not asked";
  },
};

/** The numbers of a version: "22.31.1014" is [22, 31, 1014]; null if it is none. */
function version(text) {
  const parts = text.split(/[.-]/).map(Number);
  return parts.every((part) => Number.isSafeInteger(part) && part >= 0) ? parts : null;
}

function compare(a, b) {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  return 0;
}

/** The value of an attribute in a set; undefined when there is none or it is null. */
function attribute(sets, set, name) {
  for (let at = set === 0 ? 0 : sets.ends[set - 1]; at < sets.ends[set]; at++) {
    if (text(sets.texts, sets.keys[at]) === name) {
      return sets.values[at] === NONE ? undefined : text(sets.texts, sets.values[at]);
    }
  }
  return undefined;
}

/** The text with this number. Ends count bytes, so that only ASCII may be cut out of the string itself. */
function text(texts, number) {
  if (texts.bytes === undefined) {
    texts.bytes = new TextEncoder().encode(texts.joined);
  }
  const start = number === 0 ? 0 : texts.ends[number - 1];
  return new TextDecoder().decode(texts.bytes.subarray(start, texts.ends[number]));
}
