/** What a plugin has beside the language: no timers, no `fetch`, no `TextDecoder`. */
declare var console: Record<"debug" | "log" | "info" | "warn" | "error", (...parts: unknown[]) => void>;
