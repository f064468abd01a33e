/** The operators between the source and the sinks: reading an event, and the decision whether it is a duplicate. */
package io.github.eventdedup.job.pipeline;
