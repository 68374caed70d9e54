// Package drone assembles a flying system from its configuration: camera,
// models, the frame path, alerts, statistics, health, and the link to the
// ground. It is the one place that names the adapters.
package drone
