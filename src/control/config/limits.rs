//! How many connections the gateway keeps, whose, and how it lets go of them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::duration;

/// Connections of senders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Connections at once; beyond that, the one that has rested longest ends.
    pub connections: u32,
    /// Connections of one address at once; a further one is closed.
    pub connections_per_address: u32,
    /// Networks whose addresses may have any number of them, such as that of a proxy or of the
    /// machine itself.
    pub trusted: Vec<Network>,
    /// How long everything is still served after SIGTERM, while `/readyz` says 503 already: what
    /// a load balancer needs to hear of it.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub drain_delay: Duration,
    /// How long requests in flight may take after that.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32_768,
            connections_per_address: 64,
            trusted: vec![
                Network { address: Ipv4Addr::new(127, 0, 0, 0).into(), bits: 8 },
                Network { address: Ipv6Addr::LOCALHOST.into(), bits: 128 },
            ],
            drain_delay: Duration::from_secs(1),
            drain: Duration::from_secs(25),
        }
    }
}

impl Limits {
    /// Whether an address may have any number of connections.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

/// A network in CIDR notation, such as `10.0.0.0/8`; a single address where no prefix is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address and no network such as `10.0.0.0/8`")]
pub struct NoNetwork(String);

impl Network {
    /// Whether an address belongs to it. An IPv4 address stays one in IPv6's clothes.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.bits);
                (ours.to_bits() ^ other.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.bits);
                (ours.to_bits() ^ other.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let parse = || {
            let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
            let address: IpAddr = address.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
            (bits <= most).then_some(Self { address, bits })
        };
        parse().ok_or_else(|| NoNetwork(text.to_owned()))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl TryFrom<String> for Network {
    type Error = NoNetwork;

    fn try_from(text: String) -> Result<Self, NoNetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl JsonSchema for Network {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        const BYTE: &str = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
        const GROUP: &str = "[0-9a-fA-F]{1,4}";
        let v4 = format!("({BYTE}\\.){{3}}{BYTE}(/(3[0-2]|[12]?[0-9]))?");
        let v6 = format!(
            "(::({GROUP})?|({GROUP}:){{7}}{GROUP}|({GROUP}:){{1,5}}:({GROUP})?)\
             (/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?"
        );
        schemars::json_schema!({
            "type": "string",
            "pattern": format!("^({v4}|{v6})$"),
            "description": "A network in CIDR notation, such as `10.0.0.0/8`, or an address.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_addresses_and_no_others() {
        let check = |network: &str, address: &str, expect: bool| {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expect, "{network} {address}");
        };
        check("127.0.0.0/8", "127.9.9.9", true);
        check("127.0.0.0/8", "::ffff:127.0.0.1", true);
        check("127.0.0.0/8", "128.0.0.1", false);
        check("10.1.2.3", "10.1.2.3", true);
        check("10.1.2.3", "10.1.2.4", false);
        check("0.0.0.0/0", "8.8.8.8", true);
        check("0.0.0.0/0", "::1", false);
        check("::/0", "2001:db8::1", true);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
    }

    #[test]
    fn a_network_is_typed_as_it_is_shown_or_refused() {
        for good in ["127.0.0.0/8", "::1/128", "0.0.0.0/0"] {
            assert_eq!(good.parse::<Network>().unwrap().to_string(), good);
        }
        for bad in ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "example.com"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_machine_itself_is_trusted_unless_told_otherwise() {
        let limits = Limits::default();
        assert!(limits.trusts("127.0.0.1".parse().unwrap()));
        assert!(limits.trusts("::1".parse().unwrap()));
        assert!(!limits.trusts("192.0.2.1".parse().unwrap()));
    }
}
