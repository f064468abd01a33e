/** Environment variables, secrets, durations, URLs and YAML files: how every process reads and checks them. */
package io.github.eventdedup.config;
