//! The host's side of the contract in `wit/`, generated.

wasmtime::component::bindgen!({
    path: "../../wit/0.1.0",
    world: "adapter",
    imports: {
        default: trappable,
        "hauski:adapter/upstream.send": async | trappable,
        "hauski:adapter/upstream.[method]response.read": async | trappable,
    },
    exports: { default: async },
    with: { "hauski:adapter/upstream.response": crate::upstream::Response },
});
