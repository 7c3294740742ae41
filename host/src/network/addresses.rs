//! Which addresses may be dialled: pure.
//!
//! # Invariants
//! - An address is public only if it is known to be: what the registries of IANA do not give out is refused.
//! - An IPv4 address inside an IPv6 address is judged as itself: it is where the bytes end up.
//! - No network that the user writes lets an address of metadata in, unless it is that address alone.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::Url;

/// What an address is for, where it is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// This machine.
    Loopback,
    /// RFC 1918, and unique local addresses (RFC 4193).
    Private,
    /// This link (RFC 3927, RFC 4291).
    LinkLocal,
    /// What clouds answer at with credentials of the machine.
    Metadata,
    /// Between a provider and its customers (RFC 6598).
    Shared,
    /// Many machines.
    Multicast,
    /// All machines of a link.
    Broadcast,
    /// No machine; Linux takes it for this one.
    Unspecified,
    /// Tests of devices (RFC 2544).
    Benchmarking,
    /// Documentation, former use, and what nobody has been given.
    Reserved,
}

impl AddressKind {
    const ALL: [Self; 10] = [
        Self::Loopback,
        Self::Private,
        Self::LinkLocal,
        Self::Metadata,
        Self::Shared,
        Self::Multicast,
        Self::Broadcast,
        Self::Unspecified,
        Self::Benchmarking,
        Self::Reserved,
    ];

    /// Its name in the module file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata",
            Self::Shared => "shared",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Unspecified => "unspecified",
            Self::Benchmarking => "benchmarking",
            Self::Reserved => "reserved",
        }
    }

    /// What `address` is for; none if it is public.
    pub fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An address that may not be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address `{address}` ({kind}) is not dialled: `network.allow` does not list it")]
pub struct RefusedAddress {
    /// The address.
    pub address: IpAddr,
    /// What it is for.
    pub kind: AddressKind,
}

/// One entry of `network.allow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// All addresses for one purpose.
    Kind(AddressKind),
    /// A network, or a single address.
    Network(IpNet),
}

impl FromStr for Allowed {
    type Err = String;

    /// Reads `private`, `10.1.0.0/16` or `10.1.2.3`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(kind) = AddressKind::ALL.iter().find(|kind| kind.name() == text) {
            return Ok(Self::Kind(*kind));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(address.to_canonical().into()));
        }
        let network: IpNet = text.parse().map_err(|_| {
            let names = AddressKind::ALL.map(|kind| format!("`{kind}`"));
            format!(
                "write a network such as `10.1.0.0/16`, an address, or one of {}",
                names.join(", ")
            )
        })?;
        if network.trunc() != network {
            return Err(format!(
                "write the network's first address: `{}`",
                network.trunc()
            ));
        }
        Ok(Self::Network(network))
    }
}

/// `network`: which addresses may be dialled beside the public ones.
///
/// An address that the author of a module writes himself as the host of a URL, or of a proxy, is his permission for it if it
/// is this machine's or private; so is `localhost` for this machine. A name that resolves to such an address is none:
/// whoever answers for the name would choose where the host connects to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressRules {
    allow: Vec<Allowed>,
}

impl AddressRules {
    /// Rules with the entries of `network.allow`.
    pub fn new(allow: Vec<Allowed>) -> Self {
        Self { allow }
    }

    /// Whether `address` may be dialled, that DNS gave for `name`.
    ///
    /// # Errors
    /// What the address is for, where it is not allowed.
    pub fn check_answer(&self, name: &str, address: IpAddr) -> Result<(), RefusedAddress> {
        match self.refuse(address) {
            Some(refused) if is_localhost(name) && refused.kind == AddressKind::Loopback => Ok(()),
            Some(refused) => Err(refused),
            None => Ok(()),
        }
    }

    /// Whether `address` may be dialled, that stands itself in a URL.
    ///
    /// # Errors
    /// What the address is for, where it is not allowed.
    pub fn check_literal(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        use AddressKind::{Loopback, Private};
        match self.refuse(address) {
            Some(refused) if !matches!(refused.kind, Loopback | Private) => Err(refused),
            _ => Ok(()),
        }
    }

    /// Whether the host of `url` may be dialled, as far as the URL tells: a name may still resolve to anything.
    ///
    /// # Errors
    /// What the address is for, where it is not allowed.
    pub fn check_url(&self, url: &Url) -> Result<(), RefusedAddress> {
        self.check_host(url.host_str().unwrap_or_default())
    }

    /// The same for the host of a URI, an IPv6 address in brackets or not.
    ///
    /// # Errors
    /// What the address is for, where it is not allowed.
    pub fn check_host(&self, host: &str) -> Result<(), RefusedAddress> {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        match bare.unwrap_or(host).parse() {
            Ok(address) => self.check_literal(address),
            Err(_) => Ok(()),
        }
    }

    fn refuse(&self, address: IpAddr) -> Option<RefusedAddress> {
        let kind = AddressKind::of(address)?;
        let lets_in = |allowed: &Allowed| match allowed {
            Allowed::Kind(allowed) => *allowed == kind,
            Allowed::Network(network) => {
                let is_one = network.prefix_len() == network.max_prefix_len();
                (is_one || kind != AddressKind::Metadata)
                    && network.contains(&address.to_canonical())
            }
        };
        (!self.allow.iter().any(lets_in)).then_some(RefusedAddress { address, kind })
    }
}

/// Whether a name is this machine's by RFC 6761, section 6.3.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
}

/// Addresses that give credentials to whoever asks: Amazon's instances, containers and pods, Google, Azure, Oracle, Alibaba.
const METADATA_V4: [Ipv4Addr; 6] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(100, 100, 100, 200),
];
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

const fn v4(a: u8, b: u8, c: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), bits)
}

/// IANA's registry of special addresses; the first that holds counts.
const SPECIAL_V4: [(Ipv4Net, AddressKind); 16] = [
    (v4(0, 0, 0, 8), AddressKind::Unspecified),
    (v4(10, 0, 0, 8), AddressKind::Private),
    (v4(100, 64, 0, 10), AddressKind::Shared),
    (v4(127, 0, 0, 8), AddressKind::Loopback),
    (v4(169, 254, 0, 16), AddressKind::LinkLocal),
    (v4(172, 16, 0, 12), AddressKind::Private),
    (v4(192, 0, 0, 24), AddressKind::Reserved),
    (v4(192, 0, 2, 24), AddressKind::Reserved),
    (v4(192, 88, 99, 24), AddressKind::Reserved),
    (v4(192, 168, 0, 16), AddressKind::Private),
    (v4(198, 18, 0, 15), AddressKind::Benchmarking),
    (v4(198, 51, 100, 24), AddressKind::Reserved),
    (v4(203, 0, 113, 24), AddressKind::Reserved),
    (v4(224, 0, 0, 4), AddressKind::Multicast),
    (
        Ipv4Net::new_assert(Ipv4Addr::BROADCAST, 32),
        AddressKind::Broadcast,
    ),
    (v4(240, 0, 0, 4), AddressKind::Reserved),
];

fn of_v4(address: Ipv4Addr) -> Option<AddressKind> {
    if METADATA_V4.contains(&address) {
        return Some(AddressKind::Metadata);
    }
    let mut special = SPECIAL_V4.iter();
    special.find_map(|(network, kind)| network.contains(&address).then_some(*kind))
}

const fn v6(a: u16, b: u16, c: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

/// The same for IPv6.
const SPECIAL_V6: [(Ipv6Net, AddressKind); 9] = [
    (v6(0xfc00, 0, 0, 7), AddressKind::Private),
    (v6(0xfe80, 0, 0, 10), AddressKind::LinkLocal),
    // Once site-local: it is no other site's.
    (v6(0xfec0, 0, 0, 10), AddressKind::Private),
    (v6(0xff00, 0, 0, 8), AddressKind::Multicast),
    // A translator of this network's own (RFC 8215).
    (v6(0x64, 0xff9b, 1, 48), AddressKind::Private),
    (v6(0x2001, 2, 0, 48), AddressKind::Benchmarking),
    (v6(0x2001, 0, 0, 23), AddressKind::Reserved),
    (v6(0x2001, 0xdb8, 0, 32), AddressKind::Reserved),
    (v6(0x3fff, 0, 0, 20), AddressKind::Reserved),
];

/// All that is given out.
const GLOBAL: Ipv6Net = v6(0x2000, 0, 0, 3);

fn of_v6(address: Ipv6Addr) -> Option<AddressKind> {
    if METADATA_V6.contains(&address) {
        return Some(AddressKind::Metadata);
    }
    if address == Ipv6Addr::LOCALHOST {
        return Some(AddressKind::Loopback);
    }
    if address == Ipv6Addr::UNSPECIFIED {
        return Some(AddressKind::Unspecified);
    }
    let [s0, s1, s2, s3, s4, s5, s6, s7] = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        of_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (s0, s1, s2, s3, s4, s5) {
        // Compatible, mapped, translated (RFC 2765), and through a well-known translator (RFC 6052).
        (0, 0, 0, 0, 0, 0 | 0xffff) | (0, 0, 0, 0, 0xffff, 0) | (0x64, 0xff9b, 0, 0, 0, 0) => {
            return embedded(s6, s7);
        }
        // 6to4 (RFC 3056): nobody's tunnels end where one would want it any more.
        (0x2002, high, low, ..) => {
            return embedded(high, low).or(Some(AddressKind::Reserved));
        }
        // Teredo (RFC 4380): a server, and behind it a client, whose bits are turned over.
        (0x2001, 0, high, low, ..) => {
            let client = embedded(!s6, !s7);
            let any = client.or_else(|| embedded(high, low));
            return any.or(Some(AddressKind::Reserved));
        }
        _ => {}
    }
    let mut special = SPECIAL_V6.iter();
    let special = special.find_map(|(network, kind)| network.contains(&address).then_some(*kind));
    special.or_else(|| (!GLOBAL.contains(&address)).then_some(AddressKind::Reserved))
}

#[cfg(test)]
pub(crate) mod tests;
