//! Components from seeds.

use arbitrary::Unstructured;
use fastrand::Rng;
use wasm_mutate::WasmMutate;

/// How a component was made.
pub(crate) const KINDS: [&str; 5] = [
    "plugin, code mutated",
    "plugin, bytes changed",
    "plugin, sections moved",
    "component, generated",
    "module, generated, in a component",
];

const HEAD: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
const CORE_MODULE: u8 = 1;

/// The component of a seed, and its place in [`KINDS`].
pub(crate) fn component(seed: u64, plugins: &[Vec<u8>]) -> (usize, Vec<u8>) {
    let mut rng = Rng::with_seed(seed);
    let kind = rng.usize(..KINDS.len());
    let plugin = rng.choice(plugins).expect("there are plugins");
    let component = match kind {
        0 => mutated(&mut rng, plugin),
        1 => changed(&mut rng, plugin),
        2 => moved(&mut rng, plugin),
        3 => generated(&mut rng, |u| {
            Ok(wasm_smith::Component::new(features(), u)?.to_bytes())
        }),
        _ => {
            let module = generated(&mut rng, |u| {
                Ok(wasm_smith::Module::new(features(), u)?.to_bytes())
            });
            joined(&[Section(CORE_MODULE, module)])
        }
    };
    (kind, component)
}

/// A section of a component: what it is, and its content.
struct Section(u8, Vec<u8>);

/// The sections of a component that is well formed.
fn sections(component: &[u8]) -> Vec<Section> {
    let mut rest = component.get(HEAD.len()..).unwrap_or_default();
    let mut sections = Vec::new();
    while let Some((id, behind)) = rest.split_first() {
        let (size, behind) = leb128(behind);
        let (content, behind) = behind.split_at(size.min(behind.len()));
        sections.push(Section(*id, content.to_vec()));
        rest = behind;
    }
    sections
}

fn leb128(bytes: &[u8]) -> (usize, &[u8]) {
    let (mut value, mut rest) = (0, bytes);
    for shift in (0..usize::BITS).step_by(7) {
        let Some((byte, behind)) = rest.split_first() else {
            break;
        };
        value |= usize::from(byte & 0x7f) << shift;
        rest = behind;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (value, rest)
}

fn joined(sections: &[Section]) -> Vec<u8> {
    let mut component = HEAD.to_vec();
    for Section(id, content) in sections {
        component.push(*id);
        let mut size = content.len();
        while size >= 0x80 {
            component.push((size & 0x7f) as u8 | 0x80);
            size >>= 7;
        }
        component.push(size as u8);
        component.extend_from_slice(content);
    }
    component
}

/// A few changes to the code of a plugin, each of which gives a valid module: other instructions, functions, data.
fn mutated(rng: &mut Rng, plugin: &[u8]) -> Vec<u8> {
    let mut sections = sections(plugin);
    for _ in 0..rng.usize(1..=4) {
        let modules: Vec<usize> = (0..sections.len())
            .filter(|place| sections[*place].0 == CORE_MODULE)
            .collect();
        let place = *rng.choice(&modules).expect("a plugin has code");
        let module = std::mem::take(&mut sections[place].1);
        let mut mutate = WasmMutate::default();
        mutate.seed(rng.u64(..)).fuel(300);
        let next = mutate
            .run(&module)
            .ok()
            .and_then(|mut mutated| mutated.next()?.ok());
        sections[place].1 = next.unwrap_or(module);
    }
    joined(&sections)
}

/// What the host's engine has; a module that needs more is refused while it is read.
fn features() -> wasm_smith::Config {
    wasm_smith::Config {
        gc_enabled: false,
        exceptions_enabled: false,
        threads_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    }
}

/// A plugin of which some bytes are others, missing, or doubled: most are refused while they are read.
fn changed(rng: &mut Rng, plugin: &[u8]) -> Vec<u8> {
    let mut bytes = plugin.to_vec();
    for _ in 0..rng.usize(1..=3) {
        let at = rng.usize(..bytes.len());
        match rng.u8(..12) {
            0 => bytes.truncate(at.max(9)),
            1 => bytes.insert(at, rng.u8(..)),
            2 => drop(bytes.remove(at)),
            _ => bytes[at] = rng.u8(..),
        }
    }
    bytes
}

/// A plugin of which a section is missing, doubled, or in another place.
fn moved(rng: &mut Rng, plugin: &[u8]) -> Vec<u8> {
    let mut sections = sections(plugin);
    for _ in 0..rng.usize(1..=3) {
        let (from, to) = (rng.usize(..sections.len()), rng.usize(..sections.len()));
        match rng.u8(..3) {
            0 if sections.len() > 1 => drop(sections.remove(from)),
            1 => sections.swap(from, to),
            _ => {
                let copy = Section(sections[from].0, sections[from].1.clone());
                sections.insert(to, copy);
            }
        }
    }
    joined(&sections)
}

/// What a generator makes of random bytes.
fn generated(
    rng: &mut Rng,
    make: impl Fn(&mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>>,
) -> Vec<u8> {
    let mut seed = vec![0; rng.usize(64..16_384)];
    rng.fill(&mut seed);
    make(&mut Unstructured::new(&seed)).unwrap_or_default()
}
