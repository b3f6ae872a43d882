use dcm_proto::v1 as pb;
use tonic::Status;

use crate::{Error, LogicalClouds};

/// The largest page: the server works the whole out anew for each.
const LARGEST_PAGE: i32 = 1000;

impl LogicalClouds {
    /// Reads all pages of [`get_status`](Self::get_status), each of the size that is asked for or the largest, and puts them together.
    ///
    /// # Caveats
    /// Each page is as of when it was read, and the status as a whole as of the last one: while clusters are worked on, what is told of the
    /// first ones may be older.
    ///
    /// # Errors
    /// What the server, or the way to it, says.
    pub async fn get_whole_status(&self, mut request: pb::GetStatusRequest) -> Result<pb::LogicalCloudStatus, Error> {
        if request.page_size == 0 {
            request.page_size = LARGEST_PAGE;
        }
        let mut clusters = Vec::new();
        loop {
            let page = self.get_status(request.clone()).await?.into_message();
            let mut status = page.status.unwrap_or_default();
            clusters.append(&mut status.clusters);
            if page.next_page_token.is_empty() {
                return Ok(pb::LogicalCloudStatus { clusters, ..status });
            }
            if page.next_page_token <= request.page_token {
                return Err(Error::of(Status::internal("the server's pages of the status do not go on")));
            }
            request.page_token = page.next_page_token;
        }
    }
}
