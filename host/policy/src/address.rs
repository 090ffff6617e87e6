//! What kind of network an IP address belongs to: the classes that grants and permits speak of.
//!
//! Source: the IANA special-purpose address registries (RFC 6890 and its updates). What is neither public, private nor loopback
//! can't be granted at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The class of an address, after IPv4 addresses inside IPv6 ones are taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// Reachable over the internet.
    Public,
    /// Of a private network: 10/8, 172.16/12, 192.168/16, `fc00::/7`.
    Private,
    /// This machine: 127/8, `::1`.
    Loopback,
    /// Of the link: 169.254/16, `fe80::/10`. Cloud metadata services live here.
    LinkLocal,
    /// A cloud's metadata service outside the link-local range.
    Metadata,
    /// A translation or tunnel (NAT64, 6to4, Teredo, ISATAP) that hides an IPv4 address.
    Translated,
    /// Anything else that is not one host on the internet: unspecified, multicast, broadcast, shared, documentation, benchmarking.
    Reserved,
}

/// Names under which clouds offer their metadata services. They can't be granted, whatever they resolve to.
pub const METADATA_NAMES: [&str; 4] =
    ["metadata.google.internal", "metadata.goog", "metadata.azure.internal", "instance-data.ec2.internal"];

/// Whether `name`, in lower case, is one of [`METADATA_NAMES`], or a short form of them.
#[must_use]
pub fn is_metadata_name(name: &str) -> bool {
    METADATA_NAMES.contains(&name) || matches!(name, "metadata" | "instance-data")
}

/// The address that would really be dialled: the IPv4 address inside an IPv4-mapped or IPv4-compatible IPv6 address.
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => embedded_v4(v6).map_or(address, IpAddr::V4),
    }
}

/// The class of `address`, which is made [`canonical`] first.
#[must_use]
pub fn classify(address: IpAddr) -> AddressClass {
    match canonical(address) {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

/// `::ffff:a.b.c.d` and `::a.b.c.d`, but not `::` and `::1`, which are addresses of their own.
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = v6.to_ipv4()?;
    let own = v6.to_ipv4_mapped().is_none() && u32::from(v4) <= 1;
    (!own).then_some(v4)
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [169, 254, ..] => AddressClass::LinkLocal,
        // Alibaba's and Oracle's metadata services; both lie in ranges that are refused anyway and are named for the log.
        [100, 100, 100, 200] | [192, 0, 0, 192] => AddressClass::Metadata,
        // 6to4 relay anycast.
        [192, 88, 99, _] => AddressClass::Translated,
        [0, ..]
        | [100, 64..=127, ..]
        | [192, 0, 0 | 2, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => AddressClass::Reserved,
        // Azure's wire server has a public address.
        [168, 63, 129, 16] => AddressClass::Metadata,
        _ => AddressClass::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    let s = address.segments();
    // ISATAP: an interface identifier of 0:5efe or 200:5efe before the IPv4 address (RFC 5214, section 6.1).
    if matches!(s[4], 0 | 0x200) && s[5] == 0x5efe {
        return AddressClass::Translated;
    }
    match s {
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // Of Amazon's range all of it: its pod identities hand out credentials as well. Google's, Oracle's and Scaleway's.
        [0xfd00, 0xec2, ..]
        | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]
        | [0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe]
        | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42] => AddressClass::Metadata,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xfc00..=0xfdff, ..] => AddressClass::Private,
        // NAT64 (RFC 6052, RFC 8215), Teredo (RFC 4380), 6to4 (RFC 3056).
        [0x64, 0xff9b, ..] | [0x2001, 0, ..] | [0x2002, ..] => AddressClass::Translated,
        // Documentation (RFC 3849, RFC 9637), other protocol assignments of 2001::/23, segment routing.
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] | [0x2001, 1..=0x1ff, ..] => AddressClass::Reserved,
        // Global unicast is 2000::/3; all else is unassigned, multicast, site-local or discard-only.
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::AddressClass::*;
    use super::*;

    #[test]
    fn classes() {
        for (class, addresses) in [
            (Public, "1.1.1.1 8.8.8.8 172.32.0.1 100.128.0.1 2606:4700::1111 ::ffff:1.1.1.1"),
            (Private, "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 fc00::1 fdff::1 ::ffff:10.0.0.1 ::10.0.0.1"),
            (Loopback, "127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1 ::127.0.0.1 ::ffff:7f00:1"),
            (LinkLocal, "169.254.169.254 fe80::1 febf::1 ::ffff:169.254.169.254"),
            (
                Metadata,
                "100.100.100.200 fd00:ec2::254 fd00:ec2::23 168.63.129.16 192.0.0.192 fd20:ce::254 fd00:c1::a9fe:a9fe \
                 fd00:42::42",
            ),
            (
                Translated,
                "64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:7f00:1::1 2001::1 2001:0:1::1 2a00::5efe:7f00:1 192.88.99.1",
            ),
            (
                Reserved,
                "0.0.0.0 0.1.2.3 :: 224.0.0.1 255.255.255.255 240.0.0.1 100.64.0.1 198.18.0.1 198.19.1.1 192.0.2.1 \
                 198.51.100.1 203.0.113.1 192.0.0.1 ff02::1 2001:db8::1 3fff::1 100::1 fec0::1 4000::1 2001:2::1",
            ),
        ] {
            for address in addresses.split_whitespace() {
                assert_eq!(classify(address.parse().unwrap()), class, "{address}");
            }
        }
    }
}
