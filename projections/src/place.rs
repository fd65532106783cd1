//! Where the active read models are, asked in one query.

use sqlx::Row;

use crate::projection::Projection;
use crate::store::ReadModels;

/// The active version of a read model, and where it is.
pub struct Place {
    /// What fills it.
    pub projection: &'static dyn Projection,
    /// The version that is read.
    pub version: i64,
    /// The journal that its position is of.
    pub journal: String,
    /// Order of the last event that it has; 0 before the first.
    pub position: u64,
    /// Generation of the projection that made the version.
    pub generation: i64,
    /// Whether it has stopped in front of an event, and no batch was applied since.
    pub has_failed: bool,
}

impl Place {
    /// What tells it from others: its name and version.
    pub fn key(&self) -> (&'static str, i64) {
        (self.projection.name(), self.version)
    }
}

/// Where every active read model of `models` is that this program fills.
pub(crate) async fn active(models: &ReadModels) -> Result<Vec<Place>, sqlx::Error> {
    let rows = sqlx::query(
        "select c.name, c.version, c.journal, c.position, f.position, g.generation
         from read_model m
         join projection_checkpoint c on c.name = m.name and c.version = m.active_version
         left join projection_failure f on f.name = c.name and f.version = c.version
         left join projection_generation g on g.name = c.name and g.version = c.version
         order by c.name",
    )
    .fetch_all(&models.writes)
    .await?;
    let mut places = Vec::new();
    for row in rows {
        // Of a newer program's read models this one knows nothing.
        let Some(projection) = models.projection(&row.try_get::<String, _>(0)?) else { continue };
        places.push(Place {
            projection,
            version: row.try_get(1)?,
            journal: row.try_get(2)?,
            position: u64::try_from(row.try_get::<i64, _>(3)?).unwrap_or(0),
            has_failed: row.try_get::<Option<i64>, _>(4)?.is_some(),
            generation: row.try_get::<Option<i64>, _>(5)?.unwrap_or(1),
        });
    }
    Ok(places)
}
