/** The sink that stores rows in Postgres, and its preflight. */
package io.github.eventdedup.job.postgres;
