/** `plugin.config`, declared key by key, so that a slip of the pen is an error before anything is read. */

/** One key of `plugin.config`. */
export interface Setting<T> {
  /** The value, or an error without the key's name, which the caller adds. */
  read(value: unknown): T;
  /** What holds where the key is left out; none: it must be there. */
  fallback?: T;
}

/** The keys that there are. */
export type Settings = Record<string, Setting<unknown>>;

type Camel<K extends string> = K extends `${infer Head}-${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : K;

/** What the plugin sees: `id-field` is `idField`. */
export type Values<S extends Settings> = {
  readonly [K in keyof S & string as Camel<K>]: S[K] extends Setting<infer T> ? T : never;
};

/** Kinds of settings. Each takes the default; without one the key is required. */
export const setting = {
  text: (fallback?: string) => kind(fallback, "a string", (value) => typeof value === "string"),

  flag: (fallback?: boolean) => kind(fallback, "true or false", (value) => typeof value === "boolean"),

  /** A whole number from `min` to `max`, both included. */
  integer: (fallback?: number, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER) =>
    kind(fallback, `a whole number from ${min} to ${max}`, (value): value is number =>
      Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
    ),

  /** One of these words. */
  choice: <const T extends string>(words: readonly T[], fallback?: NoInfer<T>) =>
    kind<T>(fallback, `one of ${words.map((word) => `\`${word}\``).join(", ")}`, (value): value is T => words.includes(value as T)),

  /** Keys and values of any kind. */
  object: (fallback?: Record<string, unknown>) =>
    kind(fallback, "an object", (value): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value)),

  /** A list of what `item` describes. */
  list: <T>(item: Setting<T>, fallback?: T[]): Setting<T[]> => ({
    ...(fallback && { fallback }),
    read(value) {
      if (!Array.isArray(value)) throw new Error(`invalid type: ${found(value)}, expected a list`);
      return value.map((one) => item.read(one));
    },
  }),
};

function kind<T>(fallback: T | undefined, expected: string, fits: (value: unknown) => value is T): Setting<T> {
  return {
    ...(fallback !== undefined && { fallback }),
    read(value) {
      if (!fits(value)) throw new Error(`invalid type: ${found(value)}, expected ${expected}`);
      return value;
    },
  };
}

function found(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "list";
  if (typeof value === "object") return "object";
  return `${typeof value} ${JSON.stringify(value)}`;
}

/** Reads `plugin.config`; `null` is none. Throws for a key that is not there, in words for the user. */
export function readSettings<S extends Settings>(settings: S, config: unknown): Values<S> {
  const given = setting.object().read(config ?? {});
  const names = Object.keys(settings);
  const unknown = Object.keys(given).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    const known = names.length ? `expected one of ${names.map((name) => `\`${name}\``).join(", ")}` : "there are no fields";
    throw new Error(`unknown field \`${unknown}\`, ${known}`);
  }
  const values = Object.entries(settings).map(([name, setting]) => [camel(name), read(name, setting, given)]);
  return Object.fromEntries(values) as Values<S>;
}

function read(name: string, setting: Setting<unknown>, given: Record<string, unknown>): unknown {
  if (!Object.hasOwn(given, name)) {
    if (setting.fallback === undefined) throw new Error(`missing field \`${name}\``);
    return setting.fallback;
  }
  try {
    return setting.read(given[name]);
  } catch (error) {
    throw new Error(`\`${name}\`: ${(error as Error).message}`);
  }
}

function camel(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
