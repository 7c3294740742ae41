/** JSON that cannot end the plugin: the parser recurses, and in a component the end of the stack is a trap, not an exception. */

/** How deep JSON may be nested. */
export const maxDepth = 1000;

/** JSON that is nested deeper than `maxDepth`. */
export class TooDeep extends Error {
  constructor() {
    super(`it is nested deeper than ${maxDepth} levels`);
  }
}

export function parse(text: string): unknown {
  if (isTooDeep(text)) throw new TooDeep();
  return JSON.parse(text);
}

function isTooDeep(text: string): boolean {
  // Most texts are done here: counting is cheap, reading them letter by letter is not.
  if (text.length <= maxDepth || text.split("[").length + text.split("{").length - 2 <= maxDepth) return false;
  let depth = 0;
  let inside = false;
  for (let index = 0; index < text.length; index++) {
    const letter = text[index];
    if (inside && letter === "\\") index++;
    else if (letter === '"') inside = !inside;
    else if (inside) continue;
    else if (letter === "[" || letter === "{") {
      if (++depth > maxDepth) return true;
    } else if (letter === "]" || letter === "}") depth--;
  }
  return false;
}
