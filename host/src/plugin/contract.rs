//! What a component must export, and may import, to be a plugin.

use std::path::Path;

use wasmtime::{
    Engine,
    component::{Component, types::ComponentItem},
};

use super::{
    LoadError,
    grants::{Needed, settings::GrantSettings},
};

/// The contract's version that this host speaks.
pub const VERSION: &str = "0.1.0";
pub(super) const SHAPING: &str = "nozzle:plugin/shaping@0.1.0";
const HANDLING: &str = "nozzle:plugin/handling@0.1.0";

/// Whether a component exports `handling`.
pub(super) fn handles(engine: &Engine, component: &Component) -> bool {
    let kind = component.component_type();
    kind.exports(engine).any(|(name, _)| name == HANDLING)
}

/// Names what does not fit, before the engine says it by its types.
pub(super) fn check_names(
    engine: &Engine,
    component: &Component,
    path: &Path,
    grants: &GrantSettings,
) -> Result<(), LoadError> {
    let path = || path.to_owned();
    let kind = component.component_type();
    let exports: Vec<String> = kind
        .exports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    let imports = kind.imports(engine);
    let interfaces = imports
        .filter(|(_, item)| !matches!(item.ty, ComponentItem::Type(_)))
        .map(|(name, _)| name);
    let interfaces: Vec<String> = interfaces.map(str::to_owned).collect();
    let other_version = exports
        .iter()
        .chain(&interfaces)
        .find(|name| name.starts_with("nozzle:plugin/") && !name.ends_with(&format!("@{VERSION}")));
    if let Some(found) = other_version {
        return Err(LoadError::Version {
            path: path(),
            found: found.clone(),
        });
    }
    if !exports.iter().any(|name| name == SHAPING) {
        return Err(LoadError::MissingExport {
            path: path(),
            exports,
        });
    }
    for import in interfaces {
        let path = path();
        match Needed::by(&import) {
            Some(needed) if needed.is_given(grants) => {}
            Some(needed) => {
                let line = needed.line();
                return Err(LoadError::Ungranted { path, import, line });
            }
            None if is_offered(&import) => {}
            None => return Err(LoadError::Import { path, import }),
        }
    }
    Ok(())
}

fn is_offered(import: &str) -> bool {
    const OURS: [&str; 3] = ["types", "host", "current-call"];
    const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
    let ours = import.strip_prefix("nozzle:plugin/").is_some_and(|rest| {
        OURS.iter().any(|name| {
            rest.strip_prefix(name)
                .is_some_and(|version| version == format!("@{VERSION}"))
        })
    });
    let wasi = import.strip_prefix("wasi:").is_some_and(|rest| {
        rest.contains("@0.2.")
            && WASI.iter().any(|name| {
                rest.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
    });
    ours || wasi
}
