use AddressKind::{
    Benchmarking, Broadcast, LinkLocal, Loopback, Metadata, Multicast, Private, Reserved, Shared,
    Unspecified,
};

use super::*;

/// Addresses that are not public: those of smokescreen's tests, and more. The connector's tests dial them all.
pub(crate) const REFUSED: [(&str, AddressKind); 67] = [
    ("127.0.0.1", Loopback),
    ("127.255.255.254", Loopback),
    ("::1", Loopback),
    ("::ffff:127.0.0.1", Loopback),
    ("::127.0.0.1", Loopback),
    ("64:ff9b::127.0.0.1", Loopback),
    ("2002:7f00:1::", Loopback),
    ("10.0.0.0", Private),
    ("10.255.255.255", Private),
    ("172.16.0.1", Private),
    ("172.31.255.255", Private),
    ("192.168.0.1", Private),
    ("192.168.255.255", Private),
    ("fc00::1", Private),
    ("fd12:3456:789a::1", Private),
    ("fec0::1", Private),
    ("::ffff:10.0.0.1", Private),
    ("::ffff:0:10.0.0.1", Private),
    ("64:ff9b::10.0.0.1", Private),
    ("64:ff9b:1::8.8.8.8", Private),
    ("2002:a00:1::1", Private),
    ("2002:c0a8:101::", Private),
    // Teredo: the server is public, the client is 192.168.0.1.
    ("2001:0:808:808::3f57:fffe", Private),
    // The server is 10.0.0.1, the client 8.8.8.8.
    ("2001:0:a00:1::f7f7:f7f7", Private),
    // The client is 169.254.169.254.
    ("2001:0:808:808::5601:5601", Metadata),
    ("169.254.0.1", LinkLocal),
    ("169.254.255.255", LinkLocal),
    ("fe80::1", LinkLocal),
    ("febf::1", LinkLocal),
    ("::ffff:169.254.1.1", LinkLocal),
    ("169.254.169.254", Metadata),
    ("169.254.170.2", Metadata),
    ("169.254.170.23", Metadata),
    ("168.63.129.16", Metadata),
    ("192.0.0.192", Metadata),
    ("100.100.100.200", Metadata),
    ("fd00:ec2::254", Metadata),
    ("fd00:ec2::23", Metadata),
    ("fd20:ce::254", Metadata),
    ("::ffff:169.254.169.254", Metadata),
    ("::169.254.169.254", Metadata),
    ("64:ff9b::a9fe:a9fe", Metadata),
    ("2002:a9fe:a9fe::1", Metadata),
    ("100.64.0.0", Shared),
    ("100.127.255.255", Shared),
    ("::ffff:100.64.0.1", Shared),
    ("224.0.0.1", Multicast),
    ("239.255.255.255", Multicast),
    ("ff02::1", Multicast),
    ("ff0e::1", Multicast),
    ("255.255.255.255", Broadcast),
    ("0.0.0.0", Unspecified),
    ("0.1.2.3", Unspecified),
    ("::", Unspecified),
    ("::ffff:0.0.0.0", Unspecified),
    ("198.18.0.1", Benchmarking),
    ("198.19.255.255", Benchmarking),
    ("2001:2::1", Benchmarking),
    ("192.0.0.1", Reserved),
    ("192.0.2.1", Reserved),
    ("192.88.99.1", Reserved),
    ("203.0.113.1", Reserved),
    ("240.0.0.1", Reserved),
    ("2001:db8::1", Reserved),
    ("2001:0:808:808::f7f7:f7f7", Reserved),
    ("2002:808:808::1", Reserved),
    ("4000::1", Reserved),
];

/// Addresses that are public, most of them beside some that are not.
pub(crate) const PUBLIC: [&str; 22] = [
    "8.8.8.8",
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.254",
    "100.128.0.1",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
];

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn rules(allow: &[&str]) -> AddressRules {
    let allow = allow.iter().map(|text| text.parse().expect("an entry"));
    AddressRules::new(allow.collect())
}

#[test]
fn an_address_is_public_or_for_what_the_table_says() {
    for (text, kind) in REFUSED {
        assert_eq!(AddressKind::of(address(text)), Some(kind), "{text}");
    }
    for text in PUBLIC {
        assert_eq!(AddressKind::of(address(text)), None, "{text}");
    }
}

#[test]
fn an_answer_of_dns_is_dialled_only_if_it_is_public_or_allowed() {
    for (text, kind) in REFUSED {
        let address = address(text);

        let by_default = rules(&[]).check_answer("api.test", address);
        let by_kind = rules(&[kind.name()]).check_answer("api.test", address);
        let by_others = AddressKind::ALL.iter().filter(|other| **other != kind);
        let by_others: Vec<&str> = by_others.map(|other| other.name()).collect();
        let by_others = rules(&by_others).check_answer("api.test", address);

        let refused = RefusedAddress { address, kind };
        assert_eq!(by_default, Err(refused), "{text}");
        assert!(refused.to_string().contains(kind.name()), "{refused}");
        assert_eq!(by_kind, Ok(()), "{text}");
        assert_eq!(by_others, by_default, "{text}");
    }
    for text in PUBLIC {
        assert_eq!(
            rules(&[]).check_answer("api.test", address(text)),
            Ok(()),
            "{text}"
        );
    }
}

#[test]
fn an_address_that_is_written_is_permission_for_this_machine_and_private_ones_alone() {
    for (text, kind) in REFUSED {
        let written = rules(&[]).check_literal(address(text));

        let permitted = matches!(kind, Loopback | Private);
        assert_eq!(written.is_ok(), permitted, "{text}");
    }
}

#[test]
fn localhost_is_permission_for_this_machine_alone() {
    let rules = rules(&[]);
    for name in ["localhost", "LOCALHOST", "localhost.", "a.localhost"] {
        assert_eq!(
            rules.check_answer(name, address("127.0.0.1")),
            Ok(()),
            "{name}"
        );
        assert_eq!(rules.check_answer(name, address("::1")), Ok(()), "{name}");
        assert!(
            rules.check_answer(name, address("10.0.0.1")).is_err(),
            "{name}"
        );
    }
    for name in ["localhost.test", "notlocalhost", "localhost..", ""] {
        assert!(
            rules.check_answer(name, address("127.0.0.1")).is_err(),
            "{name}"
        );
    }
}

#[test]
fn a_network_lets_its_addresses_in_and_metadata_only_by_itself() {
    let table = [
        ("10.1.0.0/16", "10.1.2.3", true),
        ("10.1.0.0/16", "::ffff:10.1.2.3", true),
        ("10.1.0.0/16", "10.2.0.0", false),
        ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false),
        ("::ffff:10.1.2.3", "10.1.2.3", true),
        ("fd00::/8", "fd12::1", true),
        ("fd00::/8", "fd00:ec2::254", false),
        ("169.254.0.0/16", "169.254.1.1", true),
        ("169.254.0.0/16", "169.254.169.254", false),
        ("169.254.169.254", "169.254.169.254", true),
        ("169.254.169.254/32", "169.254.169.254", true),
        ("0.0.0.0/0", "169.254.169.254", false),
        ("0.0.0.0/0", "127.0.0.1", true),
        ("::/0", "127.0.0.1", false),
        ("64:ff9b::/96", "64:ff9b::10.0.0.1", true),
    ];
    for (allowed, text, passes) in table {
        let checked = rules(&[allowed]).check_answer("api.test", address(text));
        assert_eq!(checked.is_ok(), passes, "{allowed}: {text}");
    }
}

#[test]
fn an_entry_is_a_kind_a_network_or_an_address() {
    let table = [
        ("private", Ok("private")),
        ("Private", Err("write a network")),
        ("10.1.0.0/33", Err("write a network")),
        (
            "10.1.2.3/16",
            Err("write the network's first address: `10.1.0.0/16`"),
        ),
        ("api.test", Err("write a network")),
        ("", Err("write a network")),
    ];
    for (text, expected) in table {
        let parsed = text.parse::<Allowed>();
        match (parsed, expected) {
            (Ok(Allowed::Kind(kind)), Ok(name)) => assert_eq!(kind.name(), name),
            (Err(hint), Err(begin)) => assert!(hint.starts_with(begin), "{text}: {hint}"),
            (parsed, _) => panic!("{text}: {parsed:?}"),
        }
    }
}

/// However an address is written in a URL, the URL's parser makes an address of it, or a name.
#[test]
fn odd_notations_of_an_address_are_that_address() {
    let table = [
        ("http://2852039166/", true),
        ("http://0xa9fea9fe/", true),
        ("http://0xa9.0xfe.0xa9.0xfe/", true),
        ("http://0251.0376.0251.0376/", true),
        ("http://025177524776/", true),
        ("http://169.254.43518/", true),
        ("http://169.16689662/", true),
        ("http://169.254.169.254./", true),
        ("http://169.254.169.254:80/", true),
        ("http://169。254。169。254/", true),
        ("http://①⑥⑨.254.169.254/", true),
        ("http://%31%36%39.254.169.254/", true),
        ("http://[::ffff:169.254.169.254]/", true),
        ("http://[::ffff:a9fe:a9fe]/", true),
        ("http://[0:0:0:0:0:ffff:a9fe:a9fe]/", true),
        ("http://[64:ff9b::a9fe:a9fe]/", true),
        ("http://user@169.254.169.254/", true),
        ("http://0/", true),
        ("http://0.0.0.0/", true),
        ("http://[::]/", true),
        ("http://127.1/", false),
        ("http://169.254.169.254.test/", false),
        ("http://8.8.8.8/", false),
        ("http://134744072/", false),
    ];
    for (url, is_refused) in table {
        let parsed: Url = url.parse().expect("a URL");
        assert_eq!(rules(&[]).check_url(&parsed).is_err(), is_refused, "{url}");
    }
}
