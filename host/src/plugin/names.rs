//! The names that a component imports and exports, read without compiling it.

use wasmparser::{Encoding, Parser, Payload};

/// What a component needs and has, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
}

/// Why bytes are no component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamesError {
    /// A module, not a component.
    #[error("it is a core WebAssembly module, not a component")]
    CoreModule,
    /// No WebAssembly at all.
    #[error("it is no WebAssembly file")]
    NotWasm,
    /// Damaged.
    #[error("it is no WebAssembly component: {0}")]
    Damaged(String),
}

impl Names {
    /// Reads the names of a component.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, NamesError> {
        if !bytes.starts_with(b"\0asm") {
            return Err(NamesError::NotWasm);
        }
        let mut names = Self::default();
        let mut depth = 0_usize;
        let damaged = |error: wasmparser::BinaryReaderError| NamesError::Damaged(error.to_string());
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(damaged)? {
                Payload::Version { encoding, .. } if depth == 0 && encoding == Encoding::Module => {
                    return Err(NamesError::CoreModule);
                }
                // What is nested has names of its own.
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        names
                            .imports
                            .push(import.map_err(damaged)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        names
                            .exports
                            .push(export.map_err(damaged)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_what_is_nested_are_not_those_of_the_component() {
        let component = wat::parse_str(
            r#"(component
                (import "a:b/c@1.0.0" (instance))
                (import "d" (func))
                (component (import "inner" (func)) (export "inner-too" (func 0)))
                (core module)
                (export "e:f/g@0.1.0" (instance 0)))"#,
        )
        .expect("a component");

        let names = Names::read(&component).expect("a component");

        assert_eq!(names.imports, ["a:b/c@1.0.0", "d"]);
        assert_eq!(names.exports, ["e:f/g@0.1.0"]);
    }

    #[test]
    fn what_is_no_component_is_refused() {
        let module = wat::parse_str("(module)").expect("a module");
        let component = wat::parse_str(r#"(component (import "a" (func)))"#).expect("a component");
        let cut = component.get(..component.len() - 2).expect("longer");

        assert_eq!(Names::read(&module), Err(NamesError::CoreModule));
        assert_eq!(Names::read(b"<html>"), Err(NamesError::NotWasm));
        assert_eq!(Names::read(b""), Err(NamesError::NotWasm));
        let refused = Names::read(cut);
        assert!(
            matches!(refused, Err(NamesError::Damaged(_))),
            "{refused:?}"
        );
    }
}
