//! What the claims of a verified token say of its user.
//!
//! Invariant: a claim of another type than it should be is refused, never taken for none (CVE-2026-25537).

use serde_json::{Map, Value};
use tidewire_core::error::CoreError;
use tidewire_core::ids::Owner;

use super::refusal;
use crate::config::AuthConfig;
use crate::policy::{Principal, user_group};

/// Length of a tenant's name, in bytes.
const TENANT_BYTES_MAX: usize = 128;
/// Roles of one user.
const ROLES_MAX: usize = 100;

/// Which claim says what: a name, or a JSON Pointer into the claims.
pub(super) struct Claims {
    subject: String,
    tenant: String,
    roles: String,
    app: String,
    session: String,
}

impl Claims {
    pub(super) fn new(config: &AuthConfig) -> Self {
        Self {
            subject: config.subject_claim.clone(),
            tenant: config.tenant_claim.clone(),
            roles: config.roles_claim.clone(),
            app: config.app_claim.clone(),
            session: config.session_claim.clone(),
        }
    }

    pub(super) fn principal(&self, claims: &Map<String, Value>) -> Result<Principal, CoreError> {
        let text = |name: &str| find(claims, name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let Some(subject) = text(&self.subject).filter(|subject| user_group(subject).is_some()) else {
            let claim = &self.subject;
            let what = "must be a text of at most 123 bytes without control characters";
            return Err(refusal(format!("the token's `{claim}` {what} (auth.subject_claim)")));
        };
        let Some(tenant) = text(&self.tenant).filter(|tenant| is_name(tenant)) else {
            let claim = &self.tenant;
            return Err(refusal(format!("the token's `{claim}` must name a tenant (auth.tenant_claim)")));
        };
        let Some(roles) = find(claims, &self.roles).map_or(Some(Vec::new()), roles_of) else {
            let claim = &self.roles;
            return Err(refusal(format!("the token's `{claim}` must be a list of names of roles (auth.roles_claim)")));
        };
        let app = match find(claims, &self.app) {
            None | Some(Value::Null) => None,
            Some(_) => match text(&self.app).filter(|app| is_name(app)) {
                Some(app) => Some(app.to_owned()),
                None => {
                    let claim = &self.app;
                    return Err(refusal(format!("the token's `{claim}` must name an app (auth.app_claim)")));
                }
            },
        };
        Ok(Principal { owner: Owner { tenant: tenant.to_owned(), subject: subject.to_owned() }, roles, app })
    }

    /// The session of a token: its own claim, or else the name of the token.
    pub(super) fn session(&self, claims: &Map<String, Value>) -> Result<Option<String>, CoreError> {
        let named = find(claims, &self.session).filter(|id| !id.is_null());
        match named.or_else(|| claims.get("jti")) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(id)) if !id.is_empty() => Ok(Some(id.clone())),
            Some(_) => {
                let claim = &self.session;
                Err(refusal(format!("the token's `{claim}` or `jti` must be a text (auth.session_claim)")))
            }
        }
    }

    /// Says of a user in claims what [`principal`](Self::principal) reads there.
    pub(super) fn write(&self, claims: &mut Value, Principal { owner, roles, app }: &Principal) {
        put(claims, &self.subject, owner.subject.as_str().into());
        put(claims, &self.tenant, owner.tenant.as_str().into());
        if !roles.is_empty() {
            put(claims, &self.roles, roles.as_slice().into());
        }
        if let Some(app) = app {
            put(claims, &self.app, app.as_str().into());
        }
    }
}

fn steps(path: &str) -> impl Iterator<Item = String> {
    path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"))
}

fn find<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    let Some(path) = name.strip_prefix('/') else { return claims.get(name) };
    let mut steps = steps(path);
    let first = claims.get(&steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(&step))
}

fn put(claims: &mut Value, name: &str, value: Value) {
    let Some(path) = name.strip_prefix('/') else {
        claims[name] = value;
        return;
    };
    *steps(path).fold(claims, |into, step| &mut into[step]) = value;
}

fn roles_of(value: &Value) -> Option<Vec<String>> {
    let names: Vec<&Value> = match value {
        Value::Null => Vec::new(),
        Value::Array(names) => names.iter().collect(),
        one => vec![one],
    };
    if names.len() > ROLES_MAX {
        return None;
    }
    let name = |role: &Value| role.as_str().filter(|role| !role.is_empty() && is_name(role)).map(str::to_owned);
    let mut roles = names.into_iter().map(name).collect::<Option<Vec<_>>>()?;
    roles.sort();
    roles.dedup();
    Some(roles)
}

fn is_name(text: &str) -> bool {
    text.len() <= TENANT_BYTES_MAX && !text.chars().any(char::is_control)
}
