//! The hosts that no upstream may be.
//!
//! A plan is somebody's file, and an orchestrator often runs where `169.254.169.254` hands out the
//! machine's own credentials. So no request is passed to a link-local address, to the metadata
//! service that is none, or to "any address". What a name stands for is known only once it is
//! looked up: the gateway asks [`is_off_limits`] again of each connection.

// Addresses only: sockets are in `std`.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The metadata service of some clouds, which is not link-local.
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Why `HOST` or `HOST:PORT` may be no upstream; `None` where it may, as far as one can see.
pub fn refusal(authority: &str) -> Option<String> {
    let host = host(authority);
    match host.parse::<IpAddr>() {
        Ok(ip) => is_off_limits(ip).then(|| {
            format!("`{host}` is a link-local, metadata or unspecified address, and no service")
        }),
        // `2852039166` and `0xa9.254.1` are addresses too, to who looks them up.
        Err(_) => ends_in_a_number(host)
            .then(|| format!("`{host}` is neither a name nor an address of four numbers")),
    }
}

/// Whether nothing may be sent to this address.
pub fn is_off_limits(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local() || ip == Ipv4Addr::UNSPECIFIED,
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local() || ip == Ipv6Addr::UNSPECIFIED || ip == METADATA
        }
    }
}

/// The host without its port, brackets and zone.
fn host(authority: &str) -> &str {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host.split('%').next().unwrap_or(host)
}

fn ends_in_a_number(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or(host);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_and_no_addresses_are_refused_however_they_are_written() {
        for bad in [
            "169.254.169.254:80",
            "169.254.0.1",
            "169.254.169.254.:80",
            "[fe80::1]:80",
            "[fe80::1%eth0]:80",
            "[febf::1]",
            "[fd00:ec2::254]:80",
            "[::ffff:169.254.169.254]:80",
            "[::ffff:a9fe:a9fe]:80",
            "0.0.0.0:8000",
            "[::]:8000",
            "0:8000",
            "2852039166:80",
            "0xa9fea9fe:80",
            "0xA9.254.43518:80",
            "169.254.43518",
            "0251.0376.0251.0376:80",
        ] {
            assert!(refusal(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn services_may_be_anywhere_else() {
        for good in [
            "127.0.0.1:8000",
            "[::1]:8000",
            "10.0.0.7",
            "192.168.1.1:80",
            "[fd00::1]:80",
            "legacy:8000",
            "legacy-2:8000",
            "app2.internal",
            "0x.example:80",
        ] {
            assert_eq!(refusal(good), None, "{good}");
        }
    }
}
