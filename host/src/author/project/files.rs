//! The files of the projects, which the build script puts into the program.

use std::collections::BTreeMap;

/// All that there is: paths from the repository's root, and what stands in the files.
static ALL: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/projects.rs"));

/// The files of one project, by their paths in it. What comes later wins. None if there is no such template.
pub(super) fn of(language: &str, template: &str) -> Option<BTreeMap<String, &'static [u8]>> {
    let root = format!("guest-plugins/{language}");
    // The crate is called so; the other SDKs are folders of a project. A folder `wit` in a crate is taken for its own by
    // the macro that reads the contract.
    let (sdk, wit) = match language {
        "rust" => ("nozzle-plugin/", "nozzle-plugin/contract/"),
        // Where Python finds a package that is not installed.
        "python" => ("", "wit/"),
        _ => ("sdk/", "wit/"),
    };
    let own = format!("{root}/template/{template}/");
    let layers = [
        (format!("{root}/sdk/"), sdk),
        ("wit/".to_owned(), wit),
        (own.clone(), ""),
        (format!("{root}/template/common/"), ""),
    ];
    ALL.iter().find(|(path, _)| path.starts_with(&own))?;
    let mut files = BTreeMap::new();
    for (from, to) in &layers {
        for (path, bytes) in ALL {
            let Some(below) = path.strip_prefix(from.as_str()) else {
                continue;
            };
            let place = format!("{to}{below}");
            files.insert(unhidden(&place), *bytes);
        }
    }
    Some(files)
}

/// `gitignore` hides nothing here, and does so in a project.
fn unhidden(path: &str) -> String {
    match path.strip_suffix("gitignore") {
        Some(folder) if folder.is_empty() || folder.ends_with('/') => format!("{folder}.gitignore"),
        _ => path.to_owned(),
    }
}
