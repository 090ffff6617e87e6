//! The contract in Rust: what `wit-bindgen` makes of `wit/0.1.0`.
//!
//! Each interface is generated once, in a small world of its own, and `export!` puts together the worlds that an adapter
//! implements. So an adapter exports just what it has, and all adapters share the same types.

/// What an adapter may call.
pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "
            package hauski:sdk-imports;
            world imports {
                import hauski:adapter/upstream@0.1.0;
                import hauski:adapter/settings@0.1.0;
                import hauski:adapter/log@0.1.0;
            }
        ",
        generate_all,
        additional_derives: [PartialEq],
    });
}

/// The one function of WASI that the SDK itself calls. Rust's own clock would import four interfaces for it.
pub mod clock {
    wit_bindgen::generate!({
        inline: "
            package hauski:sdk-clock;
            world clock {
                import wasi:clocks/wall-clock@0.2.0;
            }
            package wasi:clocks@0.2.0 {
                interface wall-clock {
                    record datetime {
                        seconds: u64,
                        nanoseconds: u32,
                    }
                    now: func() -> datetime;
                    resolution: func() -> datetime;
                }
            }
        ",
        generate_all,
    });
}

/// `about`, which each adapter exports.
pub mod about {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "
            package hauski:sdk-about;
            world about {
                export hauski:adapter/about@0.1.0;
            }
        ",
        with: {
            "hauski:adapter/model-types@0.1.0": crate::bindings::imports::hauski::adapter::model_types,
            "hauski:adapter/about@0.1.0": generate,
        },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_about",
        default_bindings_module: "hauski_adapter_sdk::bindings::about",
    });
}

/// `chat`.
pub mod chat {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "
            package hauski:sdk-chat;
            world chat {
                export hauski:adapter/chat@0.1.0;
            }
        ",
        with: {
            "hauski:adapter/model-types@0.1.0": crate::bindings::imports::hauski::adapter::model_types,
            "hauski:adapter/chat@0.1.0": generate,
        },
        pub_export_macro: true,
        export_macro_name: "export_chat",
        default_bindings_module: "hauski_adapter_sdk::bindings::chat",
    });
}

/// `embeddings`.
pub mod embeddings {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "
            package hauski:sdk-embeddings;
            world embeddings {
                export hauski:adapter/embeddings@0.1.0;
            }
        ",
        with: {
            "hauski:adapter/model-types@0.1.0": crate::bindings::imports::hauski::adapter::model_types,
            "hauski:adapter/embeddings@0.1.0": generate,
        },
        pub_export_macro: true,
        export_macro_name: "export_embeddings",
        default_bindings_module: "hauski_adapter_sdk::bindings::embeddings",
    });
}
