//! OPTIONS (fleet.md §10). The structs are also its description.

use dcm_domain::options::{OptionValues, StoredOptions};
use dcm_domain::value::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Name under which the default is shown.
const DEFAULT_NAME: &str = "all clouds default";

/// Options with which a strategy is built in a subcloud.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SwUpdateOptions)]
#[serde(rename_all = "kebab-case")]
pub struct OptionsBody {
    /// Small integer; absent where constants stand in place of a removed default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 1)]
    pub id: Option<i64>,
    /// Name of the subcloud, or `all clouds default`.
    #[schema(example = "subcloud1")]
    pub name: String,
    /// Id of the subcloud; null of the installed default, 0 of one that was set again, absent with the constants.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, required = false, example = 1)]
    pub subcloud_id: Option<Option<i64>>,
    /// How storage hosts are worked on: `parallel` or `serial`.
    #[schema(required, example = "parallel")]
    pub storage_apply_type: Option<String>,
    /// How worker hosts are worked on: `parallel` or `serial`.
    #[schema(required, example = "parallel")]
    pub worker_apply_type: Option<String>,
    /// How many worker hosts are worked on at once.
    #[schema(required, example = 10)]
    pub max_parallel_workers: Option<i64>,
    /// Whether alarms stop it: `strict` or `relaxed`.
    #[schema(required, example = "relaxed")]
    pub alarm_restriction_type: Option<String>,
    /// What happens to instances: `stop-start` or `migrate`.
    #[schema(required, example = "migrate")]
    pub default_instance_action: Option<String>,
    /// When they were set first, in UTC; null of the installed default.
    #[schema(required, example = "2023-11-20 10:00:00.123456")]
    pub created_at: Option<String>,
    /// When they last changed, in UTC.
    #[schema(required)]
    pub updated_at: Option<String>,
}

/// The default, then each subcloud that has options of its own, by the id of the subcloud.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OptionsList {
    /// The entries.
    #[serde(rename = "sw-update-options")]
    pub sw_update_options: Vec<OptionsBody>,
}

/// Options to be set. All five must be there; a null leaves what is stored. The values are not looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct OptionsForm {
    /// How storage hosts are worked on: `parallel` or `serial`.
    #[schema(required, max_length = 255, example = "parallel")]
    pub storage_apply_type: Option<String>,
    /// How worker hosts are worked on: `parallel` or `serial`.
    #[schema(required, max_length = 255, example = "parallel")]
    pub worker_apply_type: Option<String>,
    /// How many worker hosts are worked on at once; a number in a string is taken too.
    #[schema(required, example = 10)]
    pub max_parallel_workers: Option<i64>,
    /// Whether alarms stop it: `strict` or `relaxed`.
    #[schema(required, max_length = 255, example = "relaxed")]
    pub alarm_restriction_type: Option<String>,
    /// What happens to instances: `stop-start` or `migrate`.
    #[schema(required, max_length = 255, example = "migrate")]
    pub default_instance_action: Option<String>,
}

/// The default; constants in its place if it was removed.
pub fn default(stored: Option<StoredOptions>) -> OptionsBody {
    match stored {
        Some(stored) => own(DEFAULT_NAME.to_owned(), stored),
        None => body(DEFAULT_NAME.to_owned(), OptionValues::installed()),
    }
}

/// The options of the subcloud `name`.
pub fn own(name: String, stored: StoredOptions) -> OptionsBody {
    OptionsBody {
        id: Some(stored.id),
        subcloud_id: Some(stored.subcloud_id),
        created_at: stored.created_at.map(Timestamp::blank_separated),
        updated_at: stored.updated_at.map(Timestamp::blank_separated),
        ..body(name, stored.values)
    }
}

fn body(name: String, values: OptionValues) -> OptionsBody {
    OptionsBody {
        id: None,
        name,
        subcloud_id: None,
        storage_apply_type: values.storage_apply_type,
        worker_apply_type: values.worker_apply_type,
        max_parallel_workers: values.max_parallel_workers,
        alarm_restriction_type: values.alarm_restriction_type,
        default_instance_action: values.default_instance_action,
        created_at: None,
        updated_at: None,
    }
}
