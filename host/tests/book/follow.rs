//! Does what pages say, in their order.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

use regex::Regex;

use super::{
    blocks::{Block, blocks},
    packages, pages, root,
};

/// Pages whose code in Rust is compiled with the project of `plugins-rust`.
pub(crate) const RUST: [&str; 2] = ["README", "plugins-rust"];

/// A test for each page with something to run.
macro_rules! followed {
    ($pages:ident: $($(#[$attribute:meta])* $test:ident: $page:literal, says $says:expr;)*) => {
        /// Pages that are followed.
        pub(crate) const $pages: &[&str] = &[$($page),*];

        $(
            $(#[$attribute])*
            #[test]
            fn $test() {
                let said = follow($page);

                let expected: &[&str] = &$says;
                for expected in expected {
                    assert!(said.contains(expected), "{expected}: {said}");
                }
            }
        )*
    };
}

followed! {
    PAGES:
    the_readme_can_be_followed: "README", says ["\"accepted\":"];
    a_host_is_steered_as_the_page_on_the_admin_api_says: "admin", says ["`shop/score` is paused", "\"was\":\"running\""];
    dead_letters_are_delivered_again_as_their_page_says: "dead-letters", says ["would be sent"];
    a_grant_that_is_missing_is_asked_for_as_the_page_says: "grants", says [];
    the_first_ten_minutes_go_as_the_introduction_says: "introduction", says ["1,000 read = ", "dead letters"];
    progress_is_shown_as_the_page_on_kinesis_says: "kinesis", says ["shop/orders"];
    a_host_is_run_as_the_page_on_operations_says: "operations", says ["`shop/score` is paused", "stopping", "dead letters"];
    packages_are_pushed_and_signed_as_their_page_says: "packaging", says [];
    a_plugin_in_rust_is_made_as_its_page_says: "plugins-rust", says ["1,000 read = 1,000 delivered"];
    a_module_is_changed_as_the_page_on_reloading_says: "reloading", says [];
    plugins_are_swapped_as_their_page_says: "swapping", says ["is served by generation 4", "is compared with the one that serves", "canary of generation 6"];
    a_plugin_is_tested_as_its_page_says: "testing-plugins", says [" 0 failed", "curl --globoff"];
    a_plugin_is_measured_as_the_page_on_tuning_says: "tuning", says ["500 a batch"];
    records_come_and_go_as_the_page_on_sources_says: "sources", says ["1,000 read = 1,000 delivered", "3 read = 3 delivered", "\"status\":200"];
    verdicts_can_be_seen_as_the_page_says: "verdicts", says ["400 read = ", "rejected-by-verdict"];
    a_plugin_without_an_sdk_is_built_as_the_contract_says: "wit/README", says ["Component built successfully"];
}

// `cargo test --test book -- --ignored` follows them word for word; `guest-plugins/*/test.sh` builds the same projects each time.
followed! {
    FETCHING:
    #[ignore = "fetches packages"]
    a_plugin_in_typescript_is_made_as_its_page_says: "plugins-typescript", says ["1,000 read = 1,000 delivered"];
    #[ignore = "fetches packages"]
    a_plugin_in_python_is_made_as_its_page_says: "plugins-python", says ["1,000 read = 1,000 delivered"];
    #[ignore = "fetches packages"]
    a_plugin_in_go_is_made_as_its_page_says: "plugins-go", says ["1,000 read = 1,000 delivered"];
    #[ignore = "fetches packages"]
    a_plugin_in_c_is_made_as_its_page_says: "plugins-c", says ["1,000 read = 1,000 delivered"];
}

/// The name of a page: without its ending, and without `docs/`.
pub(crate) fn name(page: &Path) -> String {
    let name = page.strip_prefix(root()).unwrap_or(page);
    let name = name.strip_prefix("docs").unwrap_or(name);
    name.with_extension("").display().to_string()
}

/// An empty folder with the plugins and the program that pages name.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("book")
        .join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("removed");
    }
    fs::create_dir_all(folder.join("bin")).expect("made");
    let link = |to: &Path, at: &str| {
        std::os::unix::fs::symlink(to, folder.join(at)).expect("linked");
    };
    fs::create_dir(folder.join("plugins")).expect("made");
    let dist = root().join("guest-plugins/dist");
    for plugin in ["json_batch.wasm", "per_record.wasm", "bulk.wasm"] {
        link(&dist.join(plugin), &format!("plugins/{plugin}"));
    }
    // A reader's own.
    link(&dist.join("json_batch.wasm"), "plugins/score.wasm");
    link(Path::new(env!("CARGO_BIN_EXE_nozzle")), "bin/nozzle");
    folder
}

pub(crate) fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Two ports that nobody has.
fn free_ports() -> [String; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| {
        let address = listener.local_addr().expect("bound");
        address.port().to_string()
    })
}

/// The blocks of a page as one script.
fn script(blocks: &[Block], may_fetch: bool) -> String {
    let mut script = String::new();
    for block in blocks {
        match block.mark("not run:") {
            Some("fetches packages") if may_fetch => {}
            Some(_) => continue,
            None => {}
        }
        if block.language == "text" {
            script.extend(block.mark("by:").map(|by| format!("{by} || true\n")));
        } else if block.language == "sh" {
            script.extend(block.mark("first:").map(|first| format!("{first}\n")));
            if block.mark("goes on").is_none() {
                script += &block.text;
                continue;
            }
            for line in block.text.lines() {
                let (command, _) = line.split_once(" #").unwrap_or((line, ""));
                script += &format!("{command} &\nPID=$!\n");
                if command.contains("--admin") {
                    script += "up\n";
                }
            }
        }
    }
    script
}

/// Output without what differs from run to run: numbers, times, digests and widths.
fn masked(line: &str) -> String {
    static CHANGES: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
        [
            (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
            (r"\b[0-9a-f]{64}\b|\b[0-9a-f]{4}…|\b[0-9a-f]{8}\b", "HEX"),
            (r"\d[\d,]*(\.\d+)*( (ms|µs|ns|s|KiB|MiB)\b)?", "#"),
            (r"\s+", " "),
        ]
        .map(|(from, to)| (Regex::new(from).expect("an expression"), to))
    });
    let line = CHANGES.iter().fold(line.to_owned(), |line, (from, to)| {
        from.replace_all(&line, *to).into_owned()
    });
    line.trim().to_owned()
}

/// Does what a page says, in its order: its first module is `module.yaml`, its `sh` blocks are one script, and what it shows of
/// their output is what they print. The ports are others, so that nothing else has them.
fn follow(page: &str) -> String {
    let folder = folder(page);
    let path = [format!("docs/{page}.md"), format!("{page}.md")].map(|path| root().join(path));
    let path = path.into_iter().find(|path| path.is_file());
    let mut all = blocks(&path.expect("a page"));
    let registry = (page == "packaging").then(|| packages::registry(&folder, &mut all));
    let [endpoint, admin] = free_ports();
    let here = |text: &str| {
        let lines = text.split_inclusive('\n').map(|line| {
            let is_silent = line.contains("nozzle endpoint") && !line.contains("--listen");
            let listens = "nozzle endpoint --listen 127.0.0.1:8080";
            match is_silent {
                true => line.replace("nozzle endpoint", listens),
                false => line.to_owned(),
            }
        });
        let text: String = lines.collect();
        text.replace("8080", &endpoint).replace("9464", &admin)
    };
    let whole = all.iter().find(|block| block.text.starts_with("version:"));
    if let Some(module) = whole {
        fs::write(folder.join("module.yaml"), here(&module.text)).expect("written");
    }
    write_code(page, &all, &folder);
    fs::write(folder.join("prelude.sh"), here(include_str!("prelude.sh"))).expect("written");
    // Who asks for a password gets an empty one.
    fs::write(folder.join("stdin"), "\n".repeat(100)).expect("written");
    let may_fetch = FETCHING.contains(&page);
    let script = script(&all, may_fetch);
    let script = here(&format!("source ./prelude.sh\n{script}"));
    // Where nothing was compiled before, the page on Rust does it.
    let seconds = if may_fetch { "1800" } else { "1200" };
    let programs = std::env::var("PATH").expect("a path");
    let mut programs = format!("{}:{programs}", folder.join("bin").display());
    if page == "wit/README" {
        programs += &format!(":{}", nozzle_testkit::python_toolchain().display());
    }

    let output = Command::new("timeout")
        .args([
            "--kill-after=10",
            seconds,
            "bash",
            "-euxo",
            "pipefail",
            "-c",
        ])
        .arg(&script)
        .current_dir(&folder)
        .stdin(fs::File::open(folder.join("stdin")).expect("written"))
        .env("PATH", programs)
        .env("NOZZLE_ADMIN", format!("127.0.0.1:{admin}"))
        .env("REPOSITORY", root())
        .env("EDITOR", "touch")
        .env("CARGO", env!("CARGO"))
        .env("SHARED_TARGET", shared_target())
        .env("CARGO_NET_OFFLINE", "true")
        // As small as it can be made matters to a user, and takes its time here.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("DOCKER_CONFIG", folder.join("docker"))
        // Where secret keys go otherwise is its user's home.
        .env("MINISIGN_CONFIG_DIR", folder.join("minisign"))
        .output()
        .expect("bash and timeout are there");

    let said = said(&output);
    assert!(output.status.success(), "{page}: {}\n{said}", output.status);
    // What bash traces is the page's own words, not what came of them.
    let said: String = said
        .lines()
        .filter(|line| !line.starts_with('+'))
        .map(|line| format!("{line}\n"))
        .collect();
    shows(&all, &said);
    if registry.is_some() {
        packages::modules_pass_check(&all, &folder);
    }
    said
}

/// What a page shows of the output is there, line by line.
fn shows(blocks: &[Block], said: &str) {
    let printed: Vec<String> = said.lines().map(masked).collect();
    for block in blocks.iter().filter(|block| block.language == "text") {
        if block.mark("picture").is_some() {
            continue;
        }
        // `…` stands for what is left out.
        let shown = block.text.lines().map(masked);
        for line in shown.filter(|line| !line.is_empty() && line != "…") {
            assert!(printed.contains(&line), "{}: {line}\n{said}", block.place());
        }
    }
}

/// Where `host/tests/author/new.rs` builds too.
fn shared_target() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
    fs::create_dir_all(&target).expect("made");
    target
}

/// The code of a page: in Rust in `code/`, for the project that the page makes; otherwise in the file that its first line names.
fn write_code(page: &str, all: &[Block], folder: &Path) {
    if page == "plugins-rust" {
        fs::create_dir(folder.join("code")).expect("made");
        let readme = blocks(&root().join("README.md"));
        let code = all
            .iter()
            .chain(&readme)
            .filter(|block| block.language == "rust");
        for (number, block) in code.enumerate() {
            fs::write(folder.join(format!("code/block_{number}.rs")), &block.text)
                .expect("written");
        }
    }
    let is_python = |block: &&Block| page == "wit/README" && block.language == "python";
    for block in all.iter().filter(is_python) {
        let file = block
            .text
            .split_whitespace()
            .nth(1)
            .expect("it names its file");
        fs::write(folder.join(file), &block.text).expect("written");
    }
    if page == "wit/README" {
        std::os::unix::fs::symlink(root().join("wit"), folder.join("wit")).expect("linked");
    }
}

/// A page that nobody follows any more has nothing to run.
#[test]
fn every_page_that_is_followed_is_there() {
    let mut all = pages();
    all.extend(["README.md", "wit/README.md"].map(|page| root().join(page)));
    let all: Vec<String> = all.iter().map(|page| name(page)).collect();
    for page in PAGES {
        assert!(all.iter().any(|name| name == page), "{page}");
    }
}
