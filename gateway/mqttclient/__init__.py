"""The MQTT client that uplinks and the driver of MQTT devices share. The one place that knows aiomqtt and paho."""
