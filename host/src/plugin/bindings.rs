//! The host's side of `wit/`, generated.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "sink",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
    exports: { default: async },
});
