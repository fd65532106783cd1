//! The form of an upload, for the description of the API alone: [`receive`](super::receive::receive) reads it.

use utoipa::ToSchema;

/// Deploy files: the three of the deployment manager, with or without the list of images, or that list alone.
#[derive(ToSchema)]
pub struct UploadForm {
    /// The deployment manager's playbook.
    #[schema(value_type = Option<String>, format = Binary)]
    pub deploy_playbook: Option<Vec<u8>>,
    /// Its overrides.
    #[schema(value_type = Option<String>, format = Binary)]
    pub deploy_overrides: Option<Vec<u8>>,
    /// Its chart.
    #[schema(value_type = Option<String>, format = Binary)]
    pub deploy_chart: Option<Vec<u8>>,
    /// The list of images to prestage.
    #[schema(value_type = Option<String>, format = Binary)]
    pub prestage_images: Option<Vec<u8>>,
    /// The release they are for; the active one if absent.
    #[schema(example = "22.12")]
    pub release: Option<String>,
}
