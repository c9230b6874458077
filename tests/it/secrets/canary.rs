//! Secrets that are like no other text, and the forms in which they may come out.

use ctx::ids::random_hex;

/// A secret that is put in somewhere, and must come out nowhere.
#[derive(Clone, Debug)]
pub(super) struct Canary {
    /// Where it was put in.
    pub(super) source: &'static str,
    pub(super) value: String,
}

impl Canary {
    /// A new one. It has characters that are written otherwise in a URL.
    pub(super) fn new(source: &'static str) -> Self {
        Self { source, value: format!("canary+{}/{}", random_hex::<8>(), random_hex::<8>()) }
    }

    /// The secret as it may stand somewhere.
    pub(super) fn forms(&self) -> Vec<(&'static str, Vec<u8>)> {
        let bytes = self.value.as_bytes();
        let hex = hex::encode(bytes);
        let url: String = self.value.chars().fold(String::new(), |url, c| match c {
            c if c.is_ascii_alphanumeric() => url + &c.to_string(),
            c => url + &format!("%{:02X}", u32::from(c)),
        });
        let mut forms = vec![
            ("plain", self.value.clone()),
            ("URL-encoded", url.clone()),
            ("URL-encoded", url.to_lowercase()),
            ("hex", hex.clone()),
            ("hex", hex.to_uppercase()),
            ("JSON", self.value.replace('/', "\\/")),
        ];
        // Behind a text of any length, the same bytes have one of three forms.
        for before in 0..3 {
            let padded = [&b"   "[..before], bytes].concat();
            let whole = (padded.len() / 3) * 4;
            let text = base64(&padded);
            forms.push(("base64", text[if before == 0 { 0 } else { 4 }..whole].to_owned()));
            let url_safe = text.replace('+', "-").replace('/', "_");
            forms.push(("base64", url_safe[if before == 0 { 0 } else { 4 }..whole].to_owned()));
        }
        forms.into_iter().map(|(form, text)| (form, text.into_bytes())).collect()
    }
}

/// Base64, without what fills the end.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let all = chunk.iter().fold(0u32, |all, byte| all << 8 | u32::from(*byte));
        let all = all << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            let index = usize::try_from(all >> (18 - 6 * digit) & 63).unwrap();
            text.push(char::from(DIGITS[index]));
        }
    }
    text
}
