//! A sound component that is no adapter: it exports an interface that HausKI does not know.
#![cfg(target_family = "wasm")]

mod bindings {
    #![expect(unsafe_code, reason = "generated")]
    use super::Other;
    wit_bindgen::generate!({
        inline: "
            package other:thing@1.0.0;
            interface adder {
                add: func(a: u32, b: u32) -> u32;
            }
            world other {
                export adder;
            }
        ",
    });
    export!(Other);
}

struct Other;

impl bindings::exports::other::thing::adder::Guest for Other {
    fn add(a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }
}
