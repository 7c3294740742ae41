/** Text and bytes, with whatever the engine has: the full one has `TextDecoder`, QuickJS does it fastest by way of Base64. */

interface Globals {
  TextDecoder?: new (label: string, options: { fatal: boolean; ignoreBOM: boolean }) => { decode(bytes: Uint8Array): string };
  TextEncoder?: new () => { encode(text: string): Uint8Array };
  atob(text: string): string;
  btoa(text: string): string;
  escape(text: string): string;
  unescape(text: string): string;
  Uint8Array: { fromBase64(text: string): Uint8Array };
}

const globals = globalThis as unknown as Globals;

/** The text in `bytes`, with a byte order mark if it has one. Throws where they are no UTF-8. */
export const decode: (bytes: Uint8Array) => string = globals.TextDecoder
  ? decodeByDecoder(new globals.TextDecoder("utf-8", { fatal: true, ignoreBOM: true }))
  : decodeByBase64;

/** `text` in UTF-8; a lone surrogate becomes U+FFFD. */
export const encode: (text: string) => Uint8Array = globals.TextEncoder
  ? encodeByEncoder(new globals.TextEncoder())
  : encodeByBase64;

function decodeByDecoder(decoder: { decode(bytes: Uint8Array): string }) {
  return (bytes: Uint8Array) => decoder.decode(bytes);
}

function encodeByEncoder(encoder: { encode(text: string): Uint8Array }) {
  return (text: string) => encoder.encode(text);
}

function decodeByBase64(bytes: Uint8Array): string {
  const binary = globals.atob((bytes as Uint8Array & { toBase64(): string }).toBase64());
  // `decodeURIComponent` is strict about UTF-8.
  return /[\x80-\xff]/.test(binary) ? decodeURIComponent(globals.escape(binary)) : binary;
}

function encodeByBase64(text: string): Uint8Array {
  const whole = (text as string & { toWellFormed(): string }).toWellFormed();
  return globals.Uint8Array.fromBase64(globals.btoa(globals.unescape(encodeURIComponent(whole))));
}
