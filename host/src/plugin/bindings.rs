//! The host's side of `wit/`, generated.

#![expect(
    clippy::allow_attributes_without_reason,
    reason = "generated code; the documentation is in wit/"
)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "sink",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
    exports: { default: async },
});
