"""The progress endpoint: programs in the pods report over HTTPS, and the reports reach the TrainingJob's status."""
