// Package scenario runs small stories about the pool against the decision
// engine: text files that anyone can read and write.
//
//	story unused quota is lent, and comes back on demand
//	cluster 1 nodes x 8 H100 80GiB
//	project vision quota 4
//	project speech quota 4
//	submit train big project vision pods 8 gpus 1 min 1
//	expect big running pods 8
//	submit train urgent project speech gpus 4
//	expect evicted big by reclaim for urgent pods 4
//	settle
//	expect urgent running
//
// A file holds any number of stories; each begins with an empty cluster. Words
// are separated by spaces, text with spaces is quoted, # begins a comment.
// README.md lists every word.
//
// What has happened is told to the engine at once; the engine is asked for
// decisions when a story expects something, says decide or settle, or lets
// time pass. Whatever a story is about, every law of package laws is checked
// along the way.
//
// It does not know Kubernetes, and stories do not depend on how the engine is
// made: what they expect was derived from what the engine is for.
package scenario
