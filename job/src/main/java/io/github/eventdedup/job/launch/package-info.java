/** Everything before a job is submitted: the state it continues from, the checks, the choice of the sink. */
package io.github.eventdedup.job.launch;
