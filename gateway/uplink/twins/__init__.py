"""Device twins as KubeEdge's edge node speaks of them over MQTT: for programs that were written for its topics.

Source of the topics and messages: KubeEdge's documents of DeviceTwin and the event bus (kubeedge.io, "Device Twin").
"""
