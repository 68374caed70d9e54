// Package pipeline carries frames from a camera to decisions.
//
//	source ─► ring frame ─► mailbox ─► prepare ─► mailbox ─► infer ─► decide ─► Sink
//	          (capture)    (1 slot)   (resize)   (1 slot)   (Run)    (event)
//
// Frames are never queued: both mailboxes hold one item and the newest wins, so
// a slow model sees fewer frames, never older ones, and what is replaced is
// counted. Preparing the next frame overlaps with running the present one; each
// writes into its own input slot of the session. From the first mailbox to the
// decision nothing is allocated.
//
// A source that stalls or vanishes is noticed, closed and opened again with
// jittered backoff; the gap is visible in [Loop.Source].
package pipeline
