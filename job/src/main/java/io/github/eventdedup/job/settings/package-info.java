/** Where the job's dependencies are and what it was told at its submission. */
package io.github.eventdedup.job.settings;
