"""The composition room: finds plugins by kind and assembles a Segmenter."""
