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

/** Reads text out of one array of bytes. Throws where it is no UTF-8; a byte order mark stays. */
export type Reader = (start: number, len: number) => string;

export const reader: (bytes: Uint8Array) => Reader = globals.TextDecoder
  ? readByDecoder(new globals.TextDecoder("utf-8", { fatal: true, ignoreBOM: true }))
  : readByBase64;

/** The text in `bytes`. Throws where they are no UTF-8; a byte order mark stays. */
export function decode(bytes: Uint8Array): string {
  return reader(bytes)(0, bytes.length);
}

/** `text` in UTF-8; a lone surrogate becomes U+FFFD. */
export const encode: (text: string) => Uint8Array = globals.TextEncoder
  ? encodeByEncoder(new globals.TextEncoder())
  : encodeByBase64;

/** `text` as the host takes it: a lone surrogate, as half of a pair that was cut, would trap, and becomes U+FFFD. */
export function wellFormed(text: string): string {
  return surrogate.test(text) ? decode(encode(text)) : text;
}

const surrogate = /[\ud800-\udfff]/;

function readByDecoder(decoder: { decode(bytes: Uint8Array): string }) {
  return (bytes: Uint8Array): Reader => (start, len) => decoder.decode(bytes.subarray(start, start + len));
}

function encodeByEncoder(encoder: { encode(text: string): Uint8Array }) {
  return (text: string) => encoder.encode(text);
}

/** All bytes become letters at once: what is read of ASCII then is a part of that string. */
function readByBase64(bytes: Uint8Array): Reader {
  let letters: string | undefined;
  let isAscii = false;
  return (start, len) => {
    if (letters === undefined) {
      letters = globals.atob((bytes as Uint8Array & { toBase64(): string }).toBase64());
      isAscii = !notAscii.test(letters);
    }
    const part = letters.slice(start, start + len);
    // `decodeURIComponent` is strict about UTF-8.
    return isAscii || !notAscii.test(part) ? part : decodeURIComponent(globals.escape(part));
  };
}

const notAscii = /[\x80-\xff]/;

function encodeByBase64(text: string): Uint8Array {
  const whole = (text as string & { toWellFormed(): string }).toWellFormed();
  return globals.Uint8Array.fromBase64(globals.btoa(globals.unescape(encodeURIComponent(whole))));
}
