/** Reading, replaying and discarding dead letters. */
package io.github.eventdedup.job.deadletters;
