//! The body of a creation, and the checks of fleet.md §8.3 in their order.

use dcm_domain::strategy::{ApplyType, GivenPassword, RootCa, Scope, StrategyRequest, StrategyType, Work};
use dcm_domain::validate;
use dcm_domain::value::{Secret, SecretRef};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::cert_file::CertFile;
use super::refusal::quoted;
use crate::app::App;
use crate::fields::Fields;
use crate::subclouds::group::{GroupReference, find};
use crate::transport::ApiError;

/// The most subclouds at once.
const MOST_PARALLEL: i64 = 500;
/// The longest text of a body, in bytes: it enters an event.
const LONGEST_TEXT: usize = 4096;

/// A new strategy.
#[derive(ToSchema)]
#[schema(as = NewStrategy)]
#[expect(dead_code, reason = "describes a body that is read member by member")]
pub(super) struct CreateBody {
    /// What to update.
    r#type: TypeWord,
    /// Not with `subcloud_group`.
    #[schema(rename = "subcloud-apply-type")]
    subcloud_apply_type: Option<ApplyTypeWord>,
    /// How many subclouds at once; 2 if absent, 1 if they come one after another. Not with `subcloud_group`.
    #[schema(rename = "max-parallel-subclouds", minimum = 1, maximum = 500)]
    max_parallel_subclouds: Option<i64>,
    /// Whether to start no further step after one failed.
    #[schema(rename = "stop-on-failure")]
    stop_on_failure: Option<Flag>,
    /// Whether to waive conditions; for `patch` and `firmware` only with `cloud_name`.
    force: Option<Flag>,
    /// Name of the one subcloud to update. Not with `subcloud_group`.
    #[schema(example = "subcloud1")]
    cloud_name: Option<String>,
    /// Name, or id as text, of the group to update.
    subcloud_group: Option<String>,
    /// Release to prestage.
    #[schema(example = "22.12")]
    release: Option<String>,
    /// For `prestage`: the administrator password of the subclouds, in base64.
    sysadmin_password: Option<String>,
    /// For `patch`: whether to stop after uploading.
    #[schema(rename = "upload-only")]
    upload_only: Option<Flag>,
    /// For `kubernetes`: the version to update to.
    #[schema(rename = "to-version")]
    to_version: Option<String>,
    /// For `kube-rootca-update`: `KEY=value` of C, OU, O, ST, CN and L, with blanks in between.
    #[schema(example = "C=US O=Company CN=kubernetes")]
    subject: Option<String>,
    /// For `kube-rootca-update`: the last day of the certificate.
    #[schema(rename = "expiry-date", example = "2099-12-31")]
    expiry_date: Option<String>,
    /// For `kube-rootca-update`: path of a certificate on the controller, instead of subject and date.
    #[schema(rename = "cert-file", example = "/home/sysadmin/ca.pem")]
    cert_file: Option<String>,
}

/// What a strategy updates.
#[derive(ToSchema)]
#[schema(as = StrategyType, rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes a word that is read as text")]
enum TypeWord {
    Firmware,
    KubeRootcaUpdate,
    Kubernetes,
    Patch,
    Prestage,
    Upgrade,
}

/// Whether subclouds are updated one after another.
#[derive(ToSchema)]
#[schema(as = ApplyType, rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes a word that is read as text")]
enum ApplyTypeWord {
    Parallel,
    Serial,
}

/// `true` or `false`, as text.
#[derive(ToSchema)]
#[schema(as = Flag, rename_all = "lowercase")]
#[expect(dead_code, reason = "describes a word that is read as text")]
enum Flag {
    True,
    False,
}

/// A strategy to be, and what has to be put in its place before it is there.
#[derive(Debug)]
pub(super) struct Draft {
    /// What is asked for.
    pub request: StrategyRequest,
    /// The password, and the vault entry it gets.
    pub password: Option<(SecretRef, Secret)>,
    /// The certificate file that was named.
    pub cert_file: Option<CertFile>,
}

impl Draft {
    /// Reads a body.
    ///
    /// # Errors
    /// The first refusal in the order of fleet.md §8.3; 503 if what it depends on does not answer.
    pub(super) async fn read(app: &App, mut body: Map<String, Value>) -> Result<Self, ApiError> {
        // Out of the body at once: what else becomes of it is nobody's secret.
        let password = body.shift_remove("sysadmin_password");
        if password.is_none() {
            Fields::of(&body)?;
        }
        let fields = Fields::any(&body);
        check_texts(&body)?;
        let kind = kind(fields)?;
        let apply_type = apply_type(fields)?;
        let max_parallel_subclouds = max_parallel(fields)?;
        let stop_on_failure = flag(fields, "stop-on-failure")?.unwrap_or(false);
        let force = flag(fields, "force")?;
        let cloud = fields.text("cloud_name")?;
        let needs_cloud = matches!(kind, StrategyType::Patch | StrategyType::Firmware);
        if force.is_some() && needs_cloud && cloud.is_none() {
            return Err(ApiError::bad_request(format!("force with type {kind} needs cloud_name")));
        }
        let scope = match (group_reference(fields)?, cloud) {
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_request("subcloud_group and cloud_name exclude each other"));
            }
            (Some(_), None) if apply_type.is_some() || max_parallel_subclouds.is_some() => {
                return Err(ApiError::bad_request(
                    "subcloud-apply-type and max-parallel-subclouds are not supported with subcloud_group",
                ));
            }
            (Some(group), None) => group_scope(app, group).await?,
            (None, Some(name)) => Scope::Cloud { name: name.to_owned() },
            (None, None) => Scope::All,
        };
        let release = fields.text("release")?;
        validate::release(release, &app.settings().releases)?;
        let (password, cert_file, work) = work(app, kind, fields, password)?;
        let request = StrategyRequest {
            work,
            scope,
            apply_type,
            max_parallel_subclouds,
            stop_on_failure,
            force: force.unwrap_or(false),
            release: release.map(str::to_owned),
        };
        Ok(Self { request, password, cert_file })
    }
}

/// What the type needs.
type Needs = (Option<(SecretRef, Secret)>, Option<CertFile>, Work);

fn work(
    app: &App,
    kind: StrategyType,
    fields: Fields<'_>,
    password: Option<Value>,
) -> Result<Needs, ApiError> {
    let text = |key| fields.text(key).map(|text| text.map(str::to_owned));
    Ok(match kind {
        StrategyType::Firmware => (None, None, Work::Firmware),
        StrategyType::Upgrade => (None, None, Work::Upgrade),
        StrategyType::Patch => {
            let upload_only = fields.given("upload-only").and_then(Value::as_str) == Some("true");
            (None, None, Work::Patch { upload_only })
        }
        StrategyType::Kubernetes => (None, None, Work::Kubernetes { to_version: text("to-version")? }),
        StrategyType::KubeRootca => {
            let dir = &app.settings().dirs.certs;
            let file = fields.text("cert-file")?.map(|path| CertFile::new(path, dir)).transpose()?;
            let arguments = RootCa {
                expiry_date: text("expiry-date")?,
                subject: text("subject")?,
                cert_file: file.as_ref().map(CertFile::target),
            };
            (None, file, Work::KubeRootca(arguments))
        }
        StrategyType::Prestage => match given_password(password) {
            (GivenPassword::Kept(entry), Some(secret)) => {
                (Some((entry, secret)), None, Work::Prestage { password: GivenPassword::Kept(entry) })
            }
            (password, _) => (None, None, Work::Prestage { password }),
        },
    })
}

/// What a decision may know of the password, and the password itself.
fn given_password(sent: Option<Value>) -> (GivenPassword, Option<Secret>) {
    let encoded = match sent {
        None | Some(Value::Null) => return (GivenPassword::Missing, None),
        Some(Value::String(text)) if text.is_empty() => return (GivenPassword::Missing, None),
        Some(Value::String(text)) => Secret::new(text),
        Some(_) => return (GivenPassword::Undecodable, None),
    };
    match validate::base64_password("sysadmin_password", Some(encoded.expose())) {
        Ok(password) => (GivenPassword::Kept(SecretRef(Uuid::now_v7())), Some(password)),
        Err(_) => (GivenPassword::Undecodable, None),
    }
}

fn check_texts(body: &Map<String, Value>) -> Result<(), ApiError> {
    let long = |value: &Value| value.as_str().is_some_and(|text| text.len() > LONGEST_TEXT);
    match body.iter().find(|(_, value)| long(value)) {
        Some((key, _)) => {
            Err(ApiError::bad_request(format!("{} must have at most {LONGEST_TEXT} bytes", quoted(key))))
        }
        None => Ok(()),
    }
}

fn kind(fields: Fields<'_>) -> Result<StrategyType, ApiError> {
    let word = fields.text("type")?.ok_or_else(|| ApiError::bad_request("type required"))?;
    StrategyType::parse(word).ok_or_else(|| ApiError::bad_request("type invalid: it is not supported"))
}

fn apply_type(fields: Fields<'_>) -> Result<Option<ApplyType>, ApiError> {
    let read = |value: &Value| value.as_str().and_then(ApplyType::parse);
    let invalid = || ApiError::bad_request("subcloud-apply-type must be parallel or serial");
    fields.given("subcloud-apply-type").map(|value| read(value).ok_or_else(invalid)).transpose()
}

fn max_parallel(fields: Fields<'_>) -> Result<Option<u32>, ApiError> {
    let Some(given) = fields.integer("max-parallel-subclouds")? else { return Ok(None) };
    let fitting = (1..=MOST_PARALLEL).contains(&given).then(|| u32::try_from(given).ok()).flatten();
    let refused = || ApiError::bad_request(format!("max-parallel-subclouds must be 1 to {MOST_PARALLEL}"));
    fitting.map(Some).ok_or_else(refused)
}

/// Exactly `"true"` or `"false"`.
fn flag(fields: Fields<'_>, key: &str) -> Result<Option<bool>, ApiError> {
    match fields.given(key).map(Value::as_str) {
        None => Ok(None),
        Some(Some("true")) => Ok(Some(true)),
        Some(Some("false")) => Ok(Some(false)),
        Some(_) => Err(ApiError::bad_request(format!("{key} must be \"true\" or \"false\""))),
    }
}

/// The group that is named; an empty text names one too, which there is not.
fn group_reference(fields: Fields<'_>) -> Result<Option<&str>, ApiError> {
    match fields.given("subcloud_group") {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(Some("")),
        Some(_) => match fields.text("subcloud_group")? {
            Some(text) => Ok(Some(text)),
            None => Err(ApiError::bad_request("subcloud_group must be a string")),
        },
    }
}

async fn group_scope(app: &App, text: &str) -> Result<Scope, ApiError> {
    let is_id = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let found = match (is_id, text.parse()) {
        (true, Ok(id)) => find(app, GroupReference::Id(id)).await?,
        (true, Err(_)) => None,
        (false, _) if text.is_empty() => None,
        (false, _) => find(app, GroupReference::Name(text)).await?,
    };
    let group = found.ok_or_else(|| ApiError::bad_request("Invalid subcloud_group"))?;
    Ok(Scope::Group {
        id: group.id,
        apply_type: ApplyType::parse(&group.update_apply_type),
        max_parallel_subclouds: u32::try_from(group.max_parallel_subclouds).unwrap_or(1).max(1),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn refusal<T: std::fmt::Debug>(
        read: impl Fn(Fields<'_>) -> Result<T, ApiError>,
        body: &Value,
    ) -> (u16, String) {
        let error = read(Fields::any(body.as_object().unwrap())).unwrap_err();
        (error.status().as_u16(), error.detail().unwrap().to_owned())
    }

    #[test]
    fn fl_102_types() {
        for body in [json!({}), json!({"type": ""}), json!({"type": null})] {
            assert_eq!(refusal(kind, &body), (400, "type required".to_owned()));
        }
        for body in [json!({"type": "software"}), json!({"type": "fake"}), json!({"type": 1})] {
            assert_eq!(refusal(kind, &body).0, 400);
        }
        for word in ["firmware", "kube-rootca-update", "kubernetes", "patch", "prestage", "upgrade"] {
            let body = json!({"type": word});
            assert_eq!(kind(Fields::any(body.as_object().unwrap())).unwrap().as_str(), word);
        }
    }

    #[test]
    fn fl_103_options() {
        let of = |key: &str, value: Value| Value::Object(Map::from_iter([(key.to_owned(), value)]));
        for value in [json!("bad"), json!(""), json!(1), json!(["serial"])] {
            assert_eq!(refusal(apply_type, &of("subcloud-apply-type", value)).0, 400);
        }
        for value in [json!(0), json!("0"), json!(501), json!("x"), json!(-1), json!([1]), json!(true)] {
            assert_eq!(refusal(max_parallel, &of("max-parallel-subclouds", value)).0, 400);
        }
        for value in [json!(500), json!(" 500 "), json!(500.9)] {
            let body = of("max-parallel-subclouds", value);
            assert_eq!(max_parallel(Fields::any(body.as_object().unwrap())), Ok(Some(500)));
        }
        for value in [json!("yes"), json!(true), json!(""), json!("True"), json!(0)] {
            assert_eq!(refusal(|fields| flag(fields, "force"), &of("force", value)).0, 400);
        }
    }

    #[test]
    fn fl_120_passwords() {
        for missing in [None, Some(Value::Null), Some(json!(""))] {
            assert_eq!(given_password(missing).0, GivenPassword::Missing);
        }
        for bad in [json!("dGVzdHBhc3M"), json!(1), json!(["dGVzdHBhc3M="])] {
            assert_eq!(given_password(Some(bad)).0, GivenPassword::Undecodable);
        }
        let (given, secret) = given_password(Some(json!("dGVzdHBhc3M=")));
        assert!(matches!(given, GivenPassword::Kept(_)));
        assert_eq!(secret.unwrap().expose(), "testpass");
    }
}
