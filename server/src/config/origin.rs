//! The origin of a web page: scheme, host and port, compared exactly.

use serde::Deserialize;

/// Such as `https://app.example.com` or `http://localhost:5173`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(String);

impl Origin {
    /// The text, as browsers send it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The origin of its sockets, if its scheme is not one of theirs: a content security policy asks for both.
    pub fn of_sockets(&self) -> Option<String> {
        let (scheme, host) = self.0.split_once("://")?;
        match scheme {
            "http" => Some(format!("ws://{host}")),
            "https" => Some(format!("wss://{host}")),
            _ => None,
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let refuse = |why: &str| {
            Err(format!(
                "`{text}` is no origin: {why}; write it as the browser sends it, such as `https://app.example.com`"
            ))
        };
        let Some((scheme, host)) = text.split_once("://") else { return refuse("the scheme is missing") };
        if !matches!(scheme, "http" | "https" | "ws" | "wss") {
            return refuse("the scheme is http, https, ws or wss");
        }
        if host.is_empty() || host.contains(['/', '?', '#', '@', '*', ' ', ';', ',', '"', '\'']) {
            return refuse("after the scheme stand only host and port, without a path or a wildcard");
        }
        if text.chars().any(|c| c.is_ascii_uppercase() || c.is_control() || !c.is_ascii()) {
            return refuse("a browser sends it in lower case and ASCII");
        }
        if (scheme == "https" && host.ends_with(":443")) || (scheme == "http" && host.ends_with(":80")) {
            return refuse("a browser leaves out the default port");
        }
        Ok(Self(text))
    }
}

/// Whether `host[:port]` is this machine, so that `--dev` trusts it.
pub fn is_loopback_name(authority: &str) -> bool {
    let bare = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    matches!(bare, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_exact() {
        for good in ["https://app.example.com", "http://localhost:5173", "http://[::1]:8080", "wss://a.b:1"] {
            assert!(Origin::try_from(good.to_owned()).is_ok(), "{good}");
        }
        let bad = [
            "app.example.com",
            "https://app.example.com/",
            "https://*.example.com",
            "https://App.example.com",
            "*",
            "null",
            "https://",
            "ftp://a",
            "https://a:443",
            "http://a:80",
            "https://a b",
            "https://a;b",
            "https://ä.example",
        ];
        for bad in bad {
            assert!(Origin::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_names_are_few() {
        for name in ["localhost", "localhost:1", "127.0.0.1:80", "[::1]", "[::1]:80"] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in ["localhost.evil.com", "127.0.0.1.evil.com", "evil.com:80", "localhost:x", "", "127.0.0.2"] {
            assert!(!is_loopback_name(name), "{name}");
        }
    }
}
